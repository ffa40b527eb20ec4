import type { Properties } from "../dynamic/fields";
import { UnfinishedError } from "../dynamic/unfinished";
import { retryTransient } from "./retry";

/**
 * Creates a resource exactly once. An earlier attempt may have created the resource although its response was lost. So
 * each attempt first looks for the resource and adopts it.
 *
 * @param find finds the resource by name and owner; throws when the name belongs to somebody else's resource
 * @param save creates the resource, or adopts the existing one
 * @param inputs properties that the resource gets
 * @param given properties as Pulumi passed them
 * @throws UnfinishedError when a resource exists but could not be adopted
 */
export async function createOnce<T extends { id: string }>(
  find: () => Promise<T | undefined>,
  save: (existing: T | undefined) => Promise<{ id: string }>,
  inputs: Properties,
  given: Properties,
): Promise<{ id: string }> {
  let existing: T | undefined;
  try {
    return await retryTransient(async () => {
      existing = await find();
      return save(existing);
    });
  } catch (error) {
    if (existing !== undefined) throw new UnfinishedError(existing.id, inputs, given, error);
    throw error;
  }
}
