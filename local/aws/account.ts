import { JsonFile } from "../store";

/** A resource that exists in the local AWS account. */
export interface AwsResource {
  /** Pulumi type token, such as `aws:dynamodb/table:Table`. */
  type: string;
  /** The provider's id, unique within its type. */
  id: string;
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
  private readonly file: JsonFile<Record<string, AwsResource>>;

  constructor(
    path: string,
    readonly region: string,
  ) {
    this.file = new JsonFile(path, {});
  }

  /** All resources of a type, in order of creation. */
  list(type: string): AwsResource[] {
    return Object.values(this.file.data).filter((resource) => resource.type === type);
  }

  /** One resource, or undefined. */
  get(type: string, id: string): AwsResource | undefined {
    return this.file.data[`${type}#${id}`];
  }

  /** Adds or replaces a resource. */
  put(resource: AwsResource): void {
    this.file.data[`${resource.type}#${resource.id}`] = resource;
    this.file.save();
  }

  /** Removes a resource; one that is not there is no error. */
  delete(type: string, id: string): void {
    delete this.file.data[`${type}#${id}`];
    this.file.save();
  }
}
