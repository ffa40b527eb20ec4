import { setTimeout as sleep } from "node:timers/promises";
import type { Properties } from "../dynamic/fields";
import { UnfinishedError } from "../dynamic/unfinished";
import { isNameTaken, isNotFound, RunpodError } from "./error";
import { finalError, lookAgain, type Polling, waitBeforeRetry } from "./retry";

/** Functions that create one resource. */
interface Creation<T> {
  /** Finds the resource by name and owner. Throws when somebody else's resource has this name. */
  find(): Promise<T | undefined>;
  /** Creates the resource, or adopts the existing resource. */
  save(existing: T | undefined): Promise<{ id: string }>;
  /** Interval and time limit for reads of RunPod's lists, which can show a change late. */
  settle: Polling;
}

/**
 * Creates a resource exactly once. A create without a response may still take effect, and RunPod's lists can show the
 * resource late. After such a create, or when RunPod says that the name is taken, this function looks for the resource
 * until the settle time is over. It adopts the resource if it finds one. Otherwise it repeats the create. After any
 * other refusal, it looks only once.
 *
 * @param inputs properties to store if the function throws UnfinishedError
 * @param given properties as Pulumi passed them
 * @throws UnfinishedError when a resource exists but could not be adopted
 */
export async function createOnce<T extends { id: string }>(
  { find, save, settle }: Creation<T>,
  inputs: Properties,
  given: Properties,
): Promise<{ id: string }> {
  const startedAt = performance.now();
  /** Time of the first read that showed a resource, by the id of the resource. */
  const seenAt = new Map<string, number>();
  const look = async () => {
    const found = await find();
    if (found !== undefined && !seenAt.has(found.id)) seenAt.set(found.id, performance.now());
    return found;
  };
  const isOnlyJustSeen = ({ id }: T) => performance.now() - (seenAt.get(id) ?? 0) < settle.limitMs;

  let existing = await look();
  for (let attempts = 1; ; attempts += 1) {
    try {
      return await save(existing);
    } catch (error) {
      // A ghost is a deleted resource that the list still showed. After the settle time, "not found" has another cause.
      const isGhost = existing !== undefined && isNotFound(error) && isOnlyJustSeen(existing);
      if (existing !== undefined && !isGhost) throw new UnfinishedError(existing.id, inputs, given, error);
      if (!(error instanceof RunpodError)) throw error;
      const mayExist = error.maybeDone || isNameTaken(error);
      if (mayExist) existing = await lookAgain(settle, look);
      // Unconfirmed: no public source contains RunPod's error text for a taken name. So any refusal may mean a taken
      // name. If the list cannot be read, this function throws the refusal.
      else existing = error.isRefusal && !isGhost ? await look().catch(undefinedAfterRunpodError) : undefined;
      if (isGhost) await sleep(settle.intervalMs);
      const isRetried = existing !== undefined || isGhost || (await waitBeforeRetry(error, attempts, startedAt));
      if (!isRetried) throw finalError(error, attempts);
    }
  }
}

function undefinedAfterRunpodError(error: unknown): undefined {
  if (!(error instanceof RunpodError)) throw error;
}
