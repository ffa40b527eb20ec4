import { JsonFile } from "../../support/store";

/** A resource that exists in the local AWS account. */
export interface AwsResource {
  /** Pulumi type token, such as `aws:dynamodb/table:Table`. */
  type: string;
  /** The provider's id, unique within its type and scope. */
  id: string;
  /** What the id is unique within, where that is not the account: a stage's API, a permission's function. */
  scope?: string;
  /** Inputs as the program gave them, in @pulumi/aws's own names, secrets in the clear (the file is local and 0600). */
  inputs: Record<string, unknown>;
  /** All properties, inputs included. */
  outputs: Record<string, unknown>;
}

/**
 * The local AWS account: every resource that was created in it, kept in one file. The provider writes it; the services
 * (HTTP API, Lambda, Cognito …) read it at each request, so what is configured is what happens.
 */
export class AwsAccount {
  readonly accountId = "000000000000";
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

  /** All resources of a type, in order of creation. */
  list(type: string): AwsResource[] {
    return Object.values(this.file.data).filter((resource) => resource.type === type);
  }

  /** One resource, or undefined. An id that is unique within a scope only may be given as `<scope>/<id>`, as `pulumi import` does. */
  get(type: string, id: string, scope?: string): AwsResource | undefined {
    return this.file.data[key(type, id, scope)];
  }

  /** Adds or replaces a resource. */
  put(resource: AwsResource): void {
    this.file.data[key(resource.type, resource.id, resource.scope)] = resource;
    this.file.save();
  }

  /** Removes a resource; one that is not there is no error. */
  delete(type: string, id: string, scope?: string): void {
    delete this.file.data[key(type, id, scope)];
    this.file.save();
  }
}

function key(type: string, id: string, scope: string | undefined): string {
  return `${type}#${scope === undefined ? id : `${scope}/${id}`}`;
}
