import type { ResourceState } from "./state";

/**
 * Removes resources in parallel. A resource is removed after all resources that depend on it. When a removal fails, the
 * dependencies of that resource are kept, and all other removals continue.
 *
 * @throws the first failure, after all removals have ended
 */
export async function removeInOrder(
  resources: readonly ResourceState[],
  remove: (resource: ResourceState) => Promise<void>,
): Promise<void> {
  const removals = new Map<ResourceState, Promise<void>>();
  const start = (resource: ResourceState): Promise<void> => {
    const started = removals.get(resource);
    if (started) return started;
    const removal = Promise.all(resources.filter((other) => dependsOn(other, resource)).map(start)).then(() =>
      remove(resource),
    );
    removals.set(resource, removal);
    return removal;
  };
  for (const result of await Promise.allSettled(resources.map(start))) {
    if (result.status === "rejected") throw result.reason;
  }
}

function dependsOn(resource: ResourceState, other: ResourceState): boolean {
  return resource.parent === other.urn || resource.dependencies.includes(other.urn);
}
