import { LOCAL_ACCOUNT_ID } from "../../../names";
import { StateStore } from "../../support/stateStore";

/** A resource that exists in the local AWS account. */
export interface AwsResource {
  /** Pulumi type token, such as `aws:dynamodb/table:Table`. */
  type: string;
  /** Id from the provider, unique within its type and scope. */
  id: string;
  /**
   * The parent resource, when the id is unique only within the parent. For a stage, this is the API. Undefined when the
   * id is unique in the account.
   */
  scope?: string;
  /**
   * Inputs of the program, with the names of @pulumi/aws. Secrets are in plain text, because only the owner can read
   * the file (mode 0600).
   */
  inputs: Record<string, unknown>;
  /** All properties, inputs included. */
  outputs: Record<string, unknown>;
}

/**
 * The local AWS account: all resources, stored in one SQLite file. The provider writes the resources. The services
 * (HTTP API, Lambda, Cognito …) read them at each request, so a configuration change takes effect at once.
 */
export class AwsAccount {
  readonly accountId = LOCAL_ACCOUNT_ID;
  readonly partition = "aws";
  private readonly store: StateStore<{ resources: Record<string, AwsResource> }>;

  constructor(
    path: string,
    readonly region: string,
  ) {
    this.store = new StateStore(path, { resources: {} });
  }

  /** `arn:aws:<service>:<region>:<account>:<resource>`. */
  arn(service: string, resource: string): string {
    return `arn:${this.partition}:${service}:${this.region}:${this.accountId}:${resource}`;
  }

  /** All resources, in the order of their creation. */
  all(): AwsResource[] {
    return Object.values(this.store.data.resources);
  }

  /** All resources of a type, in the order of their creation. */
  list(type: string): AwsResource[] {
    return this.all().filter((resource) => resource.type === type);
  }

  /**
   * Returns one resource, or undefined. The scope can also be part of the id, as `<scope>/<id>`, the form of `pulumi
   * import`.
   */
  get(type: string, id: string, scope?: string): AwsResource | undefined {
    return this.store.data.resources[key(type, id, scope)];
  }

  /** Adds or replaces a resource. */
  put(resource: AwsResource): void {
    const at = key(resource.type, resource.id, resource.scope);
    this.store.data.resources[at] = resource;
    this.store.save("resources", at);
  }

  /** Closes the account's file. */
  close(): void {
    this.store.close();
  }

  /** Removes a resource if it exists. */
  delete(type: string, id: string, scope?: string): void {
    const at = key(type, id, scope);
    delete this.store.data.resources[at];
    this.store.save("resources", at);
  }
}

function key(type: string, id: string, scope: string | undefined): string {
  return `${type}#${scope === undefined ? id : `${scope}/${id}`}`;
}
