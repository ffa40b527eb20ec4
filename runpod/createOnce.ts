import { setTimeout as sleep } from "node:timers/promises";
import type { Properties } from "../dynamic/fields";
import { UnfinishedError } from "../dynamic/unfinished";
import { isNameTaken, isNotFound, RunpodError } from "./error";
import { finalError, lookAgain, type Polling, waitBeforeRetry } from "./retry";

/** Functions that create one resource. */
interface Creation<T> {
  /** Finds the resource by name and owner. Throws when the name belongs to somebody else's resource. */
  find(): Promise<T | undefined>;
  /** Creates the resource, or adopts the existing one. */
  save(existing: T | undefined): Promise<{ id: string }>;
  /** Longest time for which RunPod's lists may lag behind a change. */
  settle: Polling;
}

/**
 * Creates a resource exactly once. A create without an answer may have taken effect, or take effect some seconds later.
 * RunPod's lists can lag behind as well. So after such a create, and when RunPod says that the name is taken, this
 * function looks for the resource until the settle time is over, and adopts it. Only then does it create the resource
 * again. After any other refusal it looks once.
 *
 * @param inputs properties that the resource gets
 * @param given properties as Pulumi passed them
 * @throws UnfinishedError when a resource exists but could not be adopted
 */
export async function createOnce<T extends { id: string }>(
  { find, save, settle }: Creation<T>,
  inputs: Properties,
  given: Properties,
): Promise<{ id: string }> {
  const startedAt = performance.now();
  let existing = await find();
  for (let attempts = 1; ; attempts += 1) {
    try {
      return await save(existing);
    } catch (error) {
      // The list has shown a resource that is already deleted. After the settle time, "not found" has another cause.
      const isGhost = existing !== undefined && isNotFound(error) && performance.now() - startedAt < settle.limitMs;
      if (existing !== undefined && !isGhost) throw new UnfinishedError(existing.id, inputs, given, error);
      if (!(error instanceof RunpodError)) throw error;
      const mayExist = error.maybeDone || isNameTaken(error);
      if (mayExist) existing = await lookAgain(settle, find);
      // Unconfirmed: no public source contains RunPod's words for a taken name, so each refusal may mean that.
      else existing = error.isRefusal && !isGhost ? await find() : undefined;
      if (isGhost) await sleep(settle.intervalMs);
      const isRetried = existing !== undefined || isGhost || (await waitBeforeRetry(error, attempts, startedAt));
      if (!isRetried) throw finalError(error, attempts);
    }
  }
}
