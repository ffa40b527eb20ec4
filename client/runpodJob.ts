import { jsonRequest, send, sendLast } from "./http";
import { isDone, isItem } from "./items";
import { ApiProblem, field, problemFromJob, problemFromResponse, textField } from "./problem";
import { type Attempt, pause, untilStopped } from "./stop";
import type { ChatDone, ChatInput, ChatItem, Session } from "./types";

/** Minimum time between the starts of two polls. */
const POLL_EVERY_MS = 200;
/** Longer than a `/stream` poll, which RunPod holds for about 10 s. */
const CALL_TIMEOUT_MS = 30_000;
/** Number of failed attempts of one poll after which the chat fails. */
const POLL_ATTEMPTS = 4;
/** RunPod rejects a shorter lifetime of a job. */
const MIN_TTL_MS = 10_000;

/**
 * Prepares a chat as a job of a RunPod endpoint.
 *
 * @param timeoutMs time limit of the chat. RunPod ends the job then, even when the page is gone and nobody cancels it
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
    const response = await send({ ...jsonRequest("POST", inference, "/run", body), timeoutMs: CALL_TIMEOUT_MS });
    if (!response.ok) throw problemFromResponse("POST /run", response);
    const id = textField(response.body, "id");
    if (id === undefined) throw new ApiProblem("unavailable", "POST /run did not answer JSON.");
    jobId = encodeURIComponent(id);
    return jobId;
  }

  /** Reads `/stream/<id>` (the items since the last read) or `/status/<id>` (the whole job). */
  async function poll(operation: "stream" | "status", id: string): Promise<{ status: string; body: unknown }> {
    const request = jsonRequest("GET", inference, `/${operation}/${id}`);
    for (let attempt = 1; ; attempt++) {
      try {
        const response = await send({ ...request, timeoutMs: CALL_TIMEOUT_MS, signal: stop });
        if (!response.ok) throw problemFromResponse(`GET /${operation}`, response);
        return { status: String(field(response.body, "status")), body: response.body };
      } catch (error) {
        stop.throwIfAborted();
        if (!(error instanceof ApiProblem && error.retryable) || attempt === POLL_ATTEMPTS) throw error;
        await pause(attempt * POLL_EVERY_MS * 2, stop);
      }
    }
  }

  /**
   * Reads the result of a finished job from `/status`. This is needed when `/stream` did not deliver the last item.
   * RunPod delivers each item only once, so the items of a lost response never arrive.
   */
  async function readResult(id: string): Promise<ChatDone> {
    const { status, body } = await poll("status", id);
    const done = status === "COMPLETED" && [field(body, "output")].flat().findLast(isDone);
    if (!done) throw problemFromJob(status, field(body, "error"));
    return done;
  }

  return {
    async *items() {
      submitted = submit();
      const id = await untilStopped(submitted, stop);
      for (;;) {
        const polledAt = Date.now();
        const { status, body } = await poll("stream", id);
        for (const item of streamItems(body)) {
          running &&= !isDone(item);
          yield item;
          if (isDone(item)) return;
        }
        if (isFinal(status)) {
          running = false;
          yield await readResult(id);
          return;
        }
        await pause(Math.max(0, POLL_EVERY_MS - (Date.now() - polledAt)), stop);
      }
    },

    end(reason) {
      ended.abort(reason);
      if (!running) return;
      running = false;
      const cancel = (id: string) => sendLast(jsonRequest("POST", inference, `/cancel/${id}`));
      // RunPod may already have the job while its id is on its way, so the request of the job is not aborted. A page
      // that is left runs no code later, so a known id is used at once.
      if (jobId !== undefined) void cancel(jobId);
      else void submitted?.then(cancel, () => undefined);
    },
  };
}

/** Reads the items of a `/stream` response `{"status": …, "stream": [{"output": item}, …]}`. */
function streamItems(body: unknown): ChatItem[] {
  const stream = field(body, "stream");
  return Array.isArray(stream) ? stream.map((entry) => field(entry, "output")).filter(isItem) : [];
}

function isFinal(status: string): boolean {
  return ["COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"].includes(status);
}
