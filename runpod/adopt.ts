import { retrying } from "./patience";

/**
 * Creates a thing exactly once. Each attempt looks first for one that an earlier attempt, whose answer was lost, has left
 * behind, and takes that over.
 *
 * @param find what exists under our name and mark; throws when somebody else has the name
 * @param save replaces the thing with that id, or creates it
 */
export function createOnce<T extends { id: string }>(
  find: () => Promise<T | undefined>,
  save: (id?: string) => Promise<T>,
): Promise<T> {
  return retrying(async () => save((await find())?.id));
}
