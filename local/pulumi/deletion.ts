import type { ResourceState } from "./state";

/**
 * Removes resources, each after those that need it, and independent ones at once. One that fails keeps what it needs;
 * the others go on.
 *
 * @throws the first failure, after all others have ended
 */
export async function removeInOrder(
  resources: readonly ResourceState[],
  remove: (resource: ResourceState) => Promise<void>,
): Promise<void> {
  const removals = new Map<ResourceState, Promise<void>>();
  const start = (resource: ResourceState): Promise<void> => {
    const started = removals.get(resource);
    if (started) return started;
    const removal = Promise.all(resources.filter((other) => needs(other, resource)).map(start)).then(() =>
      remove(resource),
    );
    removals.set(resource, removal);
    return removal;
  };
  for (const result of await Promise.allSettled(resources.map(start))) {
    if (result.status === "rejected") throw result.reason;
  }
}

function needs(resource: ResourceState, other: ResourceState): boolean {
  return resource.parent === other.urn || resource.dependencies.includes(other.urn);
}
