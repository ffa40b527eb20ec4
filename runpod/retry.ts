import { setTimeout as sleep } from "node:timers/promises";
import pRetry from "p-retry";
import { isInUse, RunpodError } from "./error";

/** Maximum number of retries after the first attempt. */
export const RETRIES = 3;
/** Longest wait between two attempts. If RunPod asks for more, the call fails at once. */
const LONGEST_WAIT_MS = 60_000;

let retryIntervalMs = 500;

/** Sets the wait before the first retry of this process, in milliseconds. Each further wait is twice as long. */
export function setRetryInterval(ms: number): void {
  retryIntervalMs = ms;
}

/**
 * Milliseconds to wait before retry `n` (from 1): exponential, at least `retryAfterMs`, and with jitter so that
 * parallel calls do not retry at the same moment.
 */
export function retryDelayMs(n: number, retryAfterMs = 0): number {
  const fullMs = retryIntervalMs * 2 ** (n - 1);
  return Math.max(fullMs / 2, retryAfterMs) + Math.random() * (fullMs / 2);
}

/** Whether to retry: a retry may help, and RunPod does not ask for too long a wait. */
export function isRetryable({ transient, retryAfterMs = 0 }: Pick<RunpodError, "transient" | "retryAfterMs">): boolean {
  return transient && retryAfterMs <= LONGEST_WAIT_MS;
}

/** Whether a retry may help after this HTTP status. */
export function isTransientStatus(status: number): boolean {
  return status === 429 || status >= 500;
}

/** Converts a `Retry-After` header, a number of seconds or a date, to milliseconds. */
export function parseRetryAfter(value: string | null | undefined, now = Date.now()): number | undefined {
  if (value === null || value === undefined) return undefined;
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}

/**
 * Returns the error to throw after the last attempt of a call. The error is not transient, so that a caller with its
 * own retries does not multiply the attempts. If there were earlier attempts, one of them may have taken effect at
 * RunPod, so `maybeDone` is true.
 */
export function finalError(last: RunpodError, attempts: number): RunpodError {
  const times = attempts === 1 ? "once" : `${attempts} times`;
  const message = last.transient ? `${last.message} (tried ${times})` : last.message;
  return new RunpodError(message, { transient: false, maybeDone: last.maybeDone || attempts > 1 });
}

/**
 * Runs `attempt`. After a transient `RunpodError`, repeats it up to three times. The operation must be safe to repeat.
 *
 * @throws RunpodError that is not transient; any other error unchanged
 */
export async function retryTransient<T>(attempt: () => Promise<T>): Promise<T> {
  let attempts = 0;
  try {
    return await pRetry(
      (attemptNumber) => {
        attempts = attemptNumber;
        return attempt();
      },
      {
        retries: RETRIES,
        // p-retry's own delays ignore Retry-After.
        minTimeout: 0,
        shouldRetry: async ({ error, attemptNumber }) => {
          if (!(error instanceof RunpodError) || !isRetryable(error)) return false;
          await sleep(retryDelayMs(attemptNumber, error.retryAfterMs));
          return true;
        },
      },
    );
  } catch (error) {
    throw error instanceof RunpodError ? finalError(error, attempts) : error;
  }
}

/** Interval and limit of repeated checks. */
export interface Polling {
  /** Milliseconds between two checks. */
  intervalMs: number;
  /** Total milliseconds. After this time the last result counts. */
  limitMs: number;
}

/**
 * Runs `attempt` again while RunPod refuses it because the resource is still in use.
 *
 * @throws the last refusal when the limit is over; any other error at once
 */
export async function retryWhileInUse({ intervalMs, limitMs }: Polling, attempt: () => Promise<void>): Promise<void> {
  await pRetry(attempt, {
    retries: Math.floor(limitMs / intervalMs),
    minTimeout: intervalMs,
    factor: 1,
    shouldRetry: ({ error }) => isInUse(error),
  });
}
