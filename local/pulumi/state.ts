import type { Properties } from "../support/protocol/value";
import { JsonFile } from "../support/store";

/** A resource of a stack as it was last brought about. Secrets keep their marks. */
export interface ResourceState {
  urn: string;
  type: string;
  /** False for a component, which exists only as the parent of others. */
  custom: boolean;
  /** True for one that was read, not created, and so is never deleted. */
  external: boolean;
  /** The provider's own id. Empty for a component. */
  id: string;
  /** As the provider checked them. */
  inputs: Properties;
  outputs: Properties;
  parent?: string | undefined;
  /** URNs of all resources this one needs. */
  dependencies: string[];
  /** The same by property. */
  propertyDependencies: Record<string, string[]>;
  protect: boolean;
  retainOnDelete: boolean;
  additionalSecretOutputs: string[];
  /** Why it exists but is not ready, when that is so. */
  initErrors: string[];
  /** True for one that has been replaced and waits for its deletion. */
  replaced?: true;
}

interface Document {
  version: 1;
  resources: ResourceState[];
}

/** The resources of one stack. A preview changes a copy that is never written. */
export class StackState {
  private readonly file: JsonFile<Document>;

  /** @throws Error when the file is no JSON */
  constructor(
    path: string,
    private readonly keep: boolean,
  ) {
    this.file = new JsonFile(path, { version: 1, resources: [] });
  }

  /** All resources, those that wait for their deletion included. */
  get all(): readonly ResourceState[] {
    return this.file.data.resources;
  }

  /** The resource with a URN that is in use, or undefined. */
  get(urn: string): ResourceState | undefined {
    return this.all.find((resource) => resource.urn === urn && !resource.replaced);
  }

  /** Adds a resource in place of the one in use with its URN. */
  put(resource: ResourceState): void {
    const { resources } = this.file.data;
    const at = resources.findIndex((other) => other.urn === resource.urn && !other.replaced);
    if (at < 0) resources.push(resource);
    else resources[at] = resource;
    this.save();
  }

  /** Lets a resource wait for its deletion, so that another can take its URN. */
  replace(resource: ResourceState): void {
    resource.replaced = true;
    this.save();
  }

  /** Forgets a resource. */
  remove(resource: ResourceState): void {
    this.file.data.resources = this.all.filter((other) => other !== resource);
    this.save();
  }

  /** Gives a resource another URN, wherever it is named. */
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
    if (this.keep) this.file.save();
  }
}
