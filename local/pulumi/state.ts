import type { Properties } from "../support/protocol/value";
import { JsonFile } from "../support/store";

/** A resource of a stack after its last step. Secret values stay marked as secret. */
export interface ResourceState {
  urn: string;
  type: string;
  /** False for a component, which exists only as the parent of other resources. */
  custom: boolean;
  /** True for a resource that the program only reads. The engine never deletes such a resource. */
  external: boolean;
  /** Id from the provider. Empty for a component. */
  id: string;
  /** Inputs after the provider's check. */
  inputs: Properties;
  outputs: Properties;
  parent?: string | undefined;
  /** URNs of all resources that this resource depends on. */
  dependencies: string[];
  /** URNs of the dependencies of each property. */
  propertyDependencies: Record<string, string[]>;
  protect: boolean;
  retainOnDelete: boolean;
  additionalSecretOutputs: string[];
  /** Reasons why the resource exists but is not ready; empty when it is ready. */
  initErrors: string[];
  /** True for a resource that has been replaced but is not yet deleted. */
  replaced?: true;
}

interface Document {
  version: 1;
  resources: ResourceState[];
}

/** Resources of one stack. A preview changes only the copy in memory. */
export class StackState {
  private readonly file: JsonFile<Document>;

  /**
   * @param isSaved whether changes go to the file; false for a preview
   * @throws Error when the file is not JSON
   */
  constructor(
    path: string,
    private readonly isSaved: boolean,
  ) {
    this.file = new JsonFile(path, { version: 1, resources: [] });
  }

  /** All resources, including replaced ones that are not yet deleted. */
  get all(): readonly ResourceState[] {
    return this.file.data.resources;
  }

  /** The current resource with a URN, or undefined. Skips replaced resources. */
  get(urn: string): ResourceState | undefined {
    return this.all.find((resource) => resource.urn === urn && !resource.replaced);
  }

  /** Adds a resource, or overwrites the current resource with the same URN. */
  put(resource: ResourceState): void {
    const { resources } = this.file.data;
    const at = resources.findIndex((other) => other.urn === resource.urn && !other.replaced);
    if (at < 0) resources.push(resource);
    else resources[at] = resource;
    this.save();
  }

  /** Marks a resource as replaced, so that its replacement can use the same URN while the old resource still exists. */
  replace(resource: ResourceState): void {
    resource.replaced = true;
    this.save();
  }

  remove(resource: ResourceState): void {
    this.file.data.resources = this.all.filter((other) => other !== resource);
    this.save();
  }

  /** Changes a URN in the resource itself and in all references to it. */
  rename(from: string, to: string): void {
    const renamed = (urn: string) => (urn === from ? to : urn);
    for (const resource of this.all) {
      resource.urn = renamed(resource.urn);
      resource.parent &&= renamed(resource.parent);
      resource.dependencies = resource.dependencies.map(renamed);
    }
    this.save();
  }

  private save(): void {
    if (this.isSaved) this.file.save();
  }
}
