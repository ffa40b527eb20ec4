import { send } from "./http";
import { isDone, isItem } from "./items";
import { ApiProblem, field, problemFromJob, problemFromResponse, textField } from "./problem";
import { CHAT_TIMEOUT_MS, pause, untilStopped } from "./stop";
import type { ChatDone, ChatInput, ChatItem, Session } from "./types";

/** Minimum time between the starts of two polls. */
const POLL_EVERY_MS = 200;
/** Longer than a `/stream` poll, which RunPod holds for about 10 s. */
const CALL_TIMEOUT_MS = 30_000;
const CANCEL_TIMEOUT_MS = 5_000;
/** Number of failed attempts of one poll after which the chat fails. */
const POLL_ATTEMPTS = 4;

/** RunPod rejects a shorter lifetime of a job. */
const MIN_TTL_MS = 10_000;

/** Limits of one chat over RunPod. */
export interface RunpodOptions {
  /** Aborting it cancels the job and throws the signal's reason. */
  stop: AbortSignal;
  /** Time limit of the whole chat. RunPod ends the job then, even when the page is gone and nobody cancels it. */
  timeoutMs: number | undefined;
}

/** Runs a chat as a job of a RunPod endpoint and yields the reply's items. */
export async function* runpodChat(
  session: Session,
  input: ChatInput,
  { stop, timeoutMs = CHAT_TIMEOUT_MS }: RunpodOptions,
): AsyncGenerator<ChatItem, void, void> {
  const body = { input: { ...input, ticket: session.ticket }, policy: { ttl: Math.max(MIN_TTL_MS, timeoutMs) } };
  const job = await submitOrCancel(session, body, stop);
  let running = true;
  // A page that is left runs no code after this event.
  const onStop = () => void job.cancel();
  stop.addEventListener("abort", onStop, { once: true });
  try {
    for (;;) {
      const polledAt = Date.now();
      const { status, body } = await job.poll("stream", stop);
      for (const item of streamItems(body)) {
        if ("done" in item) running = false;
        yield item;
        if ("done" in item) return;
      }
      if (isFinal(status)) {
        running = false;
        yield await readResult(job, stop);
        return;
      }
      await pause(Math.max(0, POLL_EVERY_MS - (Date.now() - polledAt)), stop);
    }
  } finally {
    stop.removeEventListener("abort", onStop);
    if (running) await job.cancel();
  }
}

interface Job {
  /** Reads `/stream/<id>` (the items since the last read) or `/status/<id>` (the whole job). */
  poll(operation: "stream" | "status", stop: AbortSignal): Promise<{ status: string; body: unknown }>;
  /** Cancels the job, once. Ignores a failed cancellation, because the job's own time limit ends the job anyway. */
  cancel(): Promise<void>;
}

/**
 * Submits the job. An abort does not end this request, because RunPod may already have the job: the job is cancelled as
 * soon as its id is known.
 */
async function submitOrCancel(session: Session, body: object, stop: AbortSignal): Promise<Job> {
  stop.throwIfAborted();
  const submitted = submit(session, body);
  try {
    return await untilStopped(submitted, stop);
  } catch (error) {
    if (stop.aborted) {
      void submitted.then(
        (job) => job.cancel(),
        () => undefined,
      );
    }
    throw error;
  }
}

async function submit({ inference }: Session, body: object): Promise<Job> {
  const base = inference.url.replace(/\/+$/, "");
  const headers = { Authorization: inference.authorization };

  const response = await send({
    method: "POST",
    url: `${base}/run`,
    headers: { ...headers, "Content-Type": "application/json" },
    body: JSON.stringify(body),
    timeoutMs: CALL_TIMEOUT_MS,
  });
  if (!response.ok) throw problemFromResponse("POST /run", response);
  const jobId = textField(response.body, "id");
  if (jobId === undefined) throw new ApiProblem("unavailable", "POST /run answered without a job id.");
  return jobAt(base, encodeURIComponent(jobId), headers);
}

function jobAt(base: string, id: string, headers: Record<string, string>): Job {
  let cancelled: Promise<void> | undefined;

  async function sendCancel(): Promise<void> {
    const url = `${base}/cancel/${id}`;
    const request = { method: "POST", url, headers, keepalive: true, timeoutMs: CANCEL_TIMEOUT_MS } as const;
    await send(request).catch(() => undefined);
  }

  return {
    async poll(operation, stop) {
      const url = `${base}/${operation}/${id}`;
      for (let attempt = 1; ; attempt++) {
        try {
          const response = await send({ method: "GET", url, headers, timeoutMs: CALL_TIMEOUT_MS, signal: stop });
          if (!response.ok) throw problemFromResponse(`GET /${operation}`, response);
          return { status: String(field(response.body, "status")), body: response.body };
        } catch (error) {
          stop.throwIfAborted();
          if (!(error instanceof ApiProblem && error.retryable) || attempt === POLL_ATTEMPTS) throw error;
          await pause(attempt * POLL_EVERY_MS * 2, stop);
        }
      }
    },
    cancel() {
      cancelled ??= sendCancel();
      return cancelled;
    },
  };
}

/** Reads the items of a `/stream` response `{"status": …, "stream": [{"output": item}, …]}`. */
function streamItems(body: unknown): ChatItem[] {
  const stream = field(body, "stream");
  return Array.isArray(stream) ? stream.map((entry) => field(entry, "output")).filter(isItem) : [];
}

/**
 * Reads the result of a finished job from `/status`. This is needed when `/stream` did not deliver the last item.
 * RunPod delivers each item only once, so the items of a lost response never arrive.
 */
async function readResult(job: Job, stop: AbortSignal): Promise<ChatDone> {
  const { status, body } = await job.poll("status", stop);
  if (status !== "COMPLETED") throw problemFromJob(status, field(body, "error"));
  const output = field(body, "output");
  const done = (Array.isArray(output) ? output : [output]).findLast(isDone);
  if (!done) throw new ApiProblem("internal", "The model finished without a reply. Try again.");
  return done;
}

function isFinal(status: string): boolean {
  return ["COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"].includes(status);
}
