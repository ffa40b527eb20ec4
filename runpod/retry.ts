import { setTimeout as sleep } from "node:timers/promises";
import pRetry from "p-retry";
import { RunpodError } from "./error";
import { tellOperator } from "./operatorOutput";

/** Interval and limit of repeated checks. */
export interface Polling {
  /** Milliseconds between two checks. */
  intervalMs: number;
  /** Time limit in milliseconds. The last result before this limit counts. */
  limitMs: number;
}

/** Longest wait between two attempts, unless RunPod asks for a longer wait. */
const LONGEST_DELAY_MS = 30_000;
/** Longest wait between two reads of a list that can show a change late. */
const LONGEST_LOOK_DELAY_MS = 2_500;
/** A wait of at least this length is logged, so that the operator sees why nothing happens. */
const LOGGED_DELAY_MS = 5_000;

let policy: Polling = { intervalMs: 500, limitMs: 10_000 };

/**
 * Sets the retry policy of this process. `intervalMs` is the wait before the first retry. Each further wait is twice as
 * long. No attempt starts later than `limitMs` after the start of the first attempt. A wait for RunPod's rate limit
 * counts toward this limit. Default: 500 ms and 10 s.
 */
export function setRetryPolicy(next: Polling): void {
  policy = next;
}

/** The limit of `setRetryPolicy`, in milliseconds. */
export function retryLimitMs(): number {
  return policy.limitMs;
}

/**
 * Milliseconds to wait before retry `n` (from 1). Grows exponentially up to 30 s, but is at least `retryAfterMs`.
 * Jitter keeps parallel calls from retrying at the same moment.
 */
function retryDelayMs(n: number, retryAfterMs = 0): number {
  const fullMs = Math.min(policy.intervalMs * 2 ** (n - 1), LONGEST_DELAY_MS);
  return Math.max(fullMs / 2, retryAfterMs) + Math.random() * (fullMs / 2);
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
 * Waits before the next attempt. Returns false at once when a retry cannot help, or when the retry would start after
 * the limit.
 *
 * @param attempts number of attempts so far
 * @param startedAt start of the first attempt, from `performance.now()`
 */
export async function waitBeforeRetry(error: RunpodError, attempts: number, startedAt: number): Promise<boolean> {
  if (!error.transient) return false;
  const delayMs = retryDelayMs(attempts, error.retryAfterMs);
  return pause(delayMs, performance.now() - startedAt, `${error.message} The program tries again`);
}

/**
 * Waits. Returns false at once when the wait would end after the retry limit.
 *
 * @param elapsedMs time since the start of the first attempt
 * @param line start of the line that the operator sees before a long wait
 */
export async function pause(delayMs: number, elapsedMs: number, line: string): Promise<boolean> {
  if (elapsedMs + delayMs > policy.limitMs) return false;
  if (delayMs >= LOGGED_DELAY_MS) {
    tellOperator(`${line} in ${seconds(delayMs)}, for at most ${seconds(policy.limitMs)} in total.`);
  }
  if (delayMs > 0) await sleep(delayMs);
  return true;
}

/**
 * Returns the error to throw after the last attempt of a call. The error is not transient, so that a caller with
 * retries does not multiply the attempts. If there were earlier attempts, one of them may have taken effect at RunPod,
 * so `maybeDone` is true.
 */
export function finalError(last: RunpodError, attempts: number): RunpodError {
  const { transient, retryAfterMs = 0, maybeDone, isGone, isRefusal, reason } = last;
  const times = attempts === 1 ? "once" : `${attempts} times`;
  const asked =
    retryAfterMs > policy.limitMs
      ? `; RunPod asks to wait ${seconds(retryAfterMs)}, runpodRetryLimitMs allows ${seconds(policy.limitMs)}`
      : "";
  const message = transient ? `${last.message} (tried ${times}${asked})` : last.message;
  return new RunpodError(message, {
    transient: false,
    maybeDone: maybeDone || attempts > 1,
    isGone,
    isRefusal,
    reason,
  });
}

/**
 * Runs `attempt` and retries it after a transient `RunpodError`, within the limit of `setRetryPolicy`. The operation
 * must be safe to repeat.
 *
 * @param attempt gets the start of the first attempt, from `performance.now()`
 * @throws RunpodError that is not transient; any other error unchanged
 */
export async function retryTransient<T>(attempt: (firstAt: number) => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  for (let attempts = 1; ; attempts += 1) {
    try {
      return await attempt(startedAt);
    } catch (error) {
      if (!(error instanceof RunpodError)) throw error;
      if (!(await waitBeforeRetry(error, attempts, startedAt))) throw finalError(error, attempts);
    }
  }
}

/**
 * Repeats `find` until it returns a resource or the limit is over. RunPod's lists can show a change late, and a create
 * can take effect after its connection was lost.
 */
export async function lookAgain<T>(
  { intervalMs, limitMs }: Polling,
  find: () => Promise<T | undefined>,
): Promise<T | undefined> {
  for (let delayMs = intervalMs, waitedMs = 0; ; delayMs *= 2) {
    const found = await find();
    if (found !== undefined || waitedMs >= limitMs) return found;
    const pauseMs = Math.min(delayMs, LONGEST_LOOK_DELAY_MS, limitMs - waitedMs);
    await sleep(pauseMs);
    waitedMs += pauseMs;
  }
}

/**
 * Retries `attempt` while RunPod refuses it, usually because the resource is still in use. Unconfirmed: no public
 * source contains the text of that refusal, so the function retries after every refusal.
 *
 * @throws the last refusal when the limit is over; any other error at once
 */
export async function retryWhileInUse({ intervalMs, limitMs }: Polling, attempt: () => Promise<void>): Promise<void> {
  await pRetry(attempt, {
    retries: Math.floor(limitMs / intervalMs),
    minTimeout: intervalMs,
    factor: 1,
    shouldRetry: ({ error }) => error instanceof RunpodError && error.isRefusal,
  });
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}
