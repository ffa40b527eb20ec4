/**
 * Creates the error for an update of a resource that somebody has deleted.
 *
 * @param resource the provider and kind, such as `RunPod template`
 */
export function missingResource(resource: string, id: string): Error {
  return new Error(`${resource} ${id} no longer exists. Run "pulumi refresh", then "pulumi up" to create it again.`);
}
