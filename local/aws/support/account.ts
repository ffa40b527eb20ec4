import { LOCAL_ACCOUNT_ID } from "../../../names";
import { JsonFile } from "../../support/store";

/** A resource that exists in the local AWS account. */
export interface AwsResource {
  /** Pulumi type token, such as `aws:dynamodb/table:Table`. */
  type: string;
  /** Id from the provider, unique within its type and scope. */
  id: string;
  /**
   * The resource within which the id is unique, such as the API of a stage. Undefined when the id is unique within the
   * account.
   */
  scope?: string;
  /**
   * Inputs of the program, with the names of @pulumi/aws. Secrets are in plain text; the file is local and has mode
   * 0600.
   */
  inputs: Record<string, unknown>;
  /** All properties, inputs included. */
  outputs: Record<string, unknown>;
}

/**
 * The local AWS account: all resources, stored in one file. The provider writes them. The services (HTTP API, Lambda,
 * Cognito …) read them at each request, so a configuration change takes effect at once.
 */
export class AwsAccount {
  readonly accountId = LOCAL_ACCOUNT_ID;
  readonly partition = "aws";
  private readonly file: JsonFile<Record<string, AwsResource>>;

  constructor(
    path: string,
    readonly region: string,
  ) {
    this.file = new JsonFile(path, {});
  }

  /** `arn:aws:<service>:<region>:<account>:<resource>`. */
  arn(service: string, resource: string): string {
    return `arn:${this.partition}:${service}:${this.region}:${this.accountId}:${resource}`;
  }

  /** All resources of a type, in the order of their creation. */
  list(type: string): AwsResource[] {
    return Object.values(this.file.data).filter((resource) => resource.type === type);
  }

  /**
   * Returns one resource, or undefined. The scope can also be part of the id, as `<scope>/<id>`, the form of `pulumi
   * import`.
   */
  get(type: string, id: string, scope?: string): AwsResource | undefined {
    return this.file.data[key(type, id, scope)];
  }

  /** Adds or replaces a resource. */
  put(resource: AwsResource): void {
    this.file.data[key(resource.type, resource.id, resource.scope)] = resource;
    this.file.save();
  }

  /** Removes a resource if it exists. */
  delete(type: string, id: string, scope?: string): void {
    delete this.file.data[key(type, id, scope)];
    this.file.save();
  }
}

function key(type: string, id: string, scope: string | undefined): string {
  return `${type}#${scope === undefined ? id : `${scope}/${id}`}`;
}
