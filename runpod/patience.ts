import { setTimeout as sleep } from "node:timers/promises";
import { isInUse, RunpodError } from "./error";

const ATTEMPTS = 4;

/** Waits before attempt `n + 1`: half a second doubled per attempt, the second half of it random so that callers spread. */
function backOff(n: number): Promise<void> {
  const fullMs = 500 * 2 ** (n - 1);
  return sleep(fullMs / 2 + Math.random() * (fullMs / 2));
}

/**
 * Runs `attempt` up to four times, again only after a transient `RunpodError`. For what may be repeated safely.
 *
 * @throws the last error, no longer transient: a caller that retries too shall not multiply the attempts
 */
export async function retrying<T>(attempt: () => Promise<T>): Promise<T> {
  for (let n = 1; ; n++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof RunpodError && error.transient)) throw error;
      if (n === ATTEMPTS) throw new RunpodError(`${error.message} (tried ${n} times)`, false);
      await backOff(n);
    }
  }
}

/** How long a delete waits for RunPod to let go of a thing. */
export interface Wait {
  /** Milliseconds between two attempts. */
  intervalMs: number;
  /** Milliseconds waited in all, after which the last refusal is the answer. */
  limitMs: number;
}

/**
 * Runs `attempt`, again and again while RunPod says that something is still in use, within the limit.
 *
 * @throws the last refusal when the limit is over; any other error at once
 */
export async function waitingOutUse({ intervalMs, limitMs }: Wait, attempt: () => Promise<void>): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += intervalMs) {
    try {
      return await attempt();
    } catch (error) {
      if (!isInUse(error) || waitedMs + intervalMs > limitMs) throw error;
      await sleep(intervalMs);
    }
  }
}
