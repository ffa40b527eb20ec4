import { setTimeout as sleep } from "node:timers/promises";
import { isInUse, RunpodError } from "./error";

const ATTEMPTS = 4;
/** The wait before the second attempt, in milliseconds; each further one is twice as long. */
let firstWaitMs = 500;

/** Sets the wait before a second attempt, in milliseconds, for this process. */
export function setFirstWait(ms: number): void {
  firstWaitMs = ms;
}
/** The longest wait between two attempts, whatever RunPod asks for: after it the refusal is the answer. */
const LONGEST_WAIT_MS = 60_000;

/**
 * Milliseconds to wait before attempt `n + 1`: doubled per attempt, the second half of it random so that callers spread;
 * at least what RunPod asked for.
 */
function backOffMs(n: number, retryAfterMs = 0): number {
  const fullMs = firstWaitMs * 2 ** (n - 1);
  const randomMs = Math.random() * (fullMs / 2);
  return Math.max(fullMs / 2, retryAfterMs) + randomMs;
}

/**
 * Runs `attempt` up to four times, again only after a transient `RunpodError`. For what may be repeated safely.
 *
 * @throws the last error, no longer transient: a caller that retries too shall not multiply the attempts
 */
export async function retrying<T>(attempt: () => Promise<T>): Promise<T> {
  let maybeDone = false;
  for (let n = 1; ; n++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof RunpodError)) throw error;
      maybeDone ||= error.maybeDone;
      const isTooLong = (error.retryAfterMs ?? 0) > LONGEST_WAIT_MS;
      if (!error.transient) throw new RunpodError(error.message, { transient: false, maybeDone });
      if (n === ATTEMPTS || isTooLong)
        throw new RunpodError(`${error.message} (tried ${n} times)`, { transient: false, maybeDone });
      await sleep(backOffMs(n, error.retryAfterMs));
    }
  }
}

/** How long to wait for RunPod, looking from time to time. */
export interface Wait {
  /** Milliseconds between two looks. */
  intervalMs: number;
  /** Milliseconds waited in all, after which the last answer counts. */
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
