import { ApiProblem } from "./problem";
import type { ChatItem } from "./types";

/** Reasons to end a chat before its last item. */
export interface StopOptions {
  /** Aborting the signal cancels the chat and throws the signal's reason. Leaving the loop early also cancels the chat. */
  signal?: AbortSignal;
  /** Time limit of the whole chat, including the worker's cold start. Default 5 minutes. */
  timeoutMs?: number;
}

/** One attempt to get a reply from the relay or from an endpoint. */
export interface Attempt {
  /** Sends the chat and yields the items of the reply. */
  items(): AsyncGenerator<ChatItem, void, void>;
  /**
   * Closes all connections and cancels the chat, unless it is finished or already cancelled.
   *
   * @param reason error that the pending item throws
   */
  end(reason?: unknown): void;
}

/** One signal for every reason to end a chat. The reason of `signal` is the error to throw. */
export interface Stop {
  signal: AbortSignal;
  /** Removes the listeners. Call this method when the chat has ended. */
  release(): void;
}

/** Default time limit of a chat. */
export const CHAT_TIMEOUT_MS = 300_000;

/** Creates the signal that ends a chat, for every reason in the options and for an abort of the controller. */
export function createStop(controller: AbortController, { signal, timeoutMs = CHAT_TIMEOUT_MS }: StopOptions): Stop {
  const late = () => controller.abort(new ApiProblem("timeout", "The model did not answer in time."));
  // A page that returns from the browser's back/forward cache shows this problem.
  const left = () => controller.abort(new ApiProblem("unavailable", "The reply was stopped."));
  const timer = setTimeout(late, timeoutMs);
  globalThis.addEventListener?.("pagehide", left);
  return {
    signal: signal ? AbortSignal.any([signal, controller.signal]) : controller.signal,
    release() {
      clearTimeout(timer);
      globalThis.removeEventListener?.("pagehide", left);
    },
  };
}

/** Calls the listener with the reason when the signal is aborted. Returns a function that removes the listener. */
export function onAbort(signal: AbortSignal, listener: (reason: unknown) => void): () => void {
  const onEvent = () => listener(signal.reason);
  signal.addEventListener("abort", onEvent);
  return () => signal.removeEventListener("abort", onEvent);
}

/** Waits for a promise. When the signal is aborted first, rejects with the signal's reason. */
export function untilStopped<T>(promise: Promise<T>, stop: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const removeListener = onAbort(stop, reject);
    if (stop.aborted) reject(stop.reason);
    promise.then(resolve, reject).finally(removeListener);
  });
}

/** Waits for some time. */
export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
