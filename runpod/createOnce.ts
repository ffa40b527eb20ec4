import { retrying } from "./retry";

/**
 * Creates a thing exactly once. Each attempt looks first for one that an earlier attempt, whose answer was lost, has left
 * behind, and takes that over.
 *
 * @param find what exists under our name and mark; throws when somebody else has the name
 * @param save makes the thing, or takes over the one that was found
 * @param unfinished the error to throw when something is known to exist but could not be taken over
 */
export async function createOnce<T extends { id: string }>(
  find: () => Promise<T | undefined>,
  save: (existing: T | undefined) => Promise<T>,
  unfinished: (id: string, cause: unknown) => Error,
): Promise<T> {
  let existing: T | undefined;
  try {
    return await retrying(async () => {
      existing = await find();
      return save(existing);
    });
  } catch (error) {
    if (existing !== undefined) throw unfinished(existing.id, error);
    throw error;
  }
}
