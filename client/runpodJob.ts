import { callJson, jsonRequest, sendLast } from "./http";
import { isDone, isItem } from "./items";
import { ApiProblem, field, problemFromJob, textField } from "./problem";
import { type Attempt, delay, untilStopped } from "./stop";
import type { ChatDone, ChatInput, ChatItem, Session } from "./types";

/** Minimum time between the starts of two polls. */
const POLL_EVERY_MS = 200;
/** Time limit of a call. It is longer than a `/stream` poll, which RunPod holds for about 10 s. */
const CALL_TIMEOUT_MS = 30_000;
/** Maximum number of attempts of one poll. When all attempts fail, the chat fails. */
const POLL_ATTEMPTS = 4;
/** RunPod rejects a shorter lifetime of a job. */
const MIN_TTL_MS = 10_000;

/**
 * Prepares a chat as a job of a RunPod endpoint.
 *
 * @param timeoutMs time limit of the chat. RunPod also ends the job at this limit, in case the page is closed and
 * cannot cancel the job
 */
export function runpodChat({ inference, ticket }: Session, input: ChatInput, timeoutMs: number): Attempt {
  const ended = new AbortController();
  const stop = ended.signal;
  let running = true;
  let submitted: Promise<string> | undefined;
  let jobId: string | undefined;

  /** Submits the job and returns its id. */
  async function submit(): Promise<string> {
    const body = { input: { ...input, ticket }, policy: { ttl: Math.max(MIN_TTL_MS, timeoutMs) } };
    const job = await callJson("POST", inference, "/run", { body, timeoutMs: CALL_TIMEOUT_MS });
    const id = textField(job, "id");
    if (id === undefined) throw problemFromJob(job);
    jobId = encodeURIComponent(id);
    return jobId;
  }

  /** Reads `/stream/<id>` (the items since the last read) or `/status/<id>` (the whole job). */
  async function poll(operation: "stream" | "status", id: string): Promise<unknown> {
    const options = { timeoutMs: CALL_TIMEOUT_MS, signal: stop };
    for (let attempt = 1; ; attempt++) {
      try {
        return await callJson("GET", inference, `/${operation}/${id}`, options);
      } catch (error) {
        stop.throwIfAborted();
        if (!(error instanceof ApiProblem && error.retryable) || attempt === POLL_ATTEMPTS) throw error;
        await untilStopped(delay(attempt * POLL_EVERY_MS * 2), stop);
      }
    }
  }

  /**
   * Reads the result of a finished job from `/status`. This is needed when `/stream` did not deliver the last item.
   * RunPod delivers each item only once, so the items of a lost response never arrive.
   */
  async function readResult(id: string): Promise<ChatDone> {
    const job = await poll("status", id);
    const done = [field(job, "output")].flat().findLast(isDone);
    if (!done) throw problemFromJob(job);
    return done;
  }

  return {
    async *items() {
      submitted = submit();
      const id = await untilStopped(submitted, stop);
      for (;;) {
        const nextPoll = delay(POLL_EVERY_MS);
        const job = await poll("stream", id);
        for (const item of streamItems(job)) {
          running &&= !isDone(item);
          yield item;
          if (isDone(item)) return;
        }
        if (isFinal(job)) {
          running = false;
          yield await readResult(id);
          return;
        }
        await untilStopped(nextPoll, stop);
      }
    },

    end(reason) {
      ended.abort(reason);
      if (!running) return;
      running = false;
      const cancel = (id: string) => sendLast(jsonRequest("POST", inference, `/cancel/${id}`));
      // RunPod may have accepted the job although its id has not arrived yet. So this method does not abort the job's
      // request. When the visitor leaves the page, no code runs later, so a job with a known id is cancelled at once.
      if (jobId !== undefined) void cancel(jobId);
      else void submitted?.then(cancel, () => undefined);
    },
  };
}

/** Reads the items of a `/stream` response `{"status": …, "stream": [{"output": item}, …]}`. */
function streamItems(job: unknown): ChatItem[] {
  const entries: unknown[] = [field(job, "stream")].flat();
  return entries.map((entry) => field(entry, "output")).filter(isItem);
}

function isFinal(job: unknown): boolean {
  return ["COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"].includes(String(field(job, "status")));
}
