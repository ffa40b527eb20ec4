import { send } from "./http";
import { ApiProblem, field, problemOfAnswer, problemOfJob } from "./problem";
import type { ChatDone, ChatInput, ChatItem, Session } from "./types";

/** How one chat is limited and renewed. */
export interface ChatOptions {
  /** Aborting it cancels the job and throws its reason. Leaving the loop early cancels the job too. */
  signal?: AbortSignal;
  /**
   * Gets a new session. Called at most twice: before the job when the ticket is about to end, and once when the ticket
   * or the endpoint's key is refused before any text. Without it such a refusal is thrown.
   */
  renew?: () => Promise<Session>;
  /** Limit of the whole chat, a cold start included. Default 5 minutes. */
  timeoutMs?: number;
}

/** Polls begin at least this long apart; a server that holds a poll longer is asked again at once. */
const POLL_EVERY_MS = 200;
/** RunPod holds a `/stream` poll for about 10 s. */
const CALL_TIMEOUT_MS = 30_000;
const CANCEL_TIMEOUT_MS = 5_000;
/** A poll that fails is tried again this often before the chat fails. */
const POLL_ATTEMPTS = 4;
/** A ticket this close to its end would not outlive the queue. */
const RENEW_AHEAD_MS = 10_000;

/**
 * Asks Mama and yields her reply as it comes: `{delta}` pieces, then one item with `done` that holds all of it.
 *
 * @throws ApiProblem with the worker's code, or `timeout`
 * @throws the signal's reason
 * @example
 * for await (const item of chat(session, { text: "こんばんは" }, { renew: api.session })) {
 *   if ("delta" in item) bubble.textContent += item.delta;
 *   else bubble.textContent = item.text;
 * }
 */
export async function* chat(
  session: Session,
  input: ChatInput,
  { signal, renew, timeoutMs = 300_000 }: ChatOptions = {},
): AsyncGenerator<ChatItem, void, void> {
  const limit = AbortSignal.timeout(timeoutMs);
  const either = signal ? AbortSignal.any([signal, limit]) : limit;
  let begun = false;
  try {
    const ends = Date.parse(session.ticket_expires_at) - RENEW_AHEAD_MS < Date.now();
    try {
      for await (const item of runJob(ends && renew ? await renew() : session, input, either)) {
        begun = true;
        yield item;
      }
    } catch (error) {
      if (!renew || begun || !cured(error)) throw error;
      yield* runJob(await renew(), input, either);
    }
  } catch (error) {
    if (limit.aborted && !signal?.aborted) {
      throw new ApiProblem("timeout", `No answer in ${timeoutMs / 1000} s. Try again.`, { cause: error });
    }
    throw error;
  }
}

/** Whether a new session may be all it takes: an old ticket, a rotated ticket key or a rotated endpoint key. */
function cured(error: unknown): boolean {
  const codes = ["ticket_expired", "ticket_invalid", "ticket_wrong_model", "unauthorized"];
  return error instanceof ApiProblem && codes.includes(error.code);
}

async function* runJob(session: Session, input: ChatInput, signal: AbortSignal): AsyncGenerator<ChatItem, void, void> {
  const job = await submit(session, input, signal);
  let running = true;
  try {
    for (;;) {
      const polledAt = Date.now();
      const { status, body } = await job.poll("stream", signal);
      for (const item of streamed(body)) {
        if ("done" in item) running = false;
        yield item;
        if ("done" in item) return;
      }
      if (isOver(status)) {
        running = false;
        yield await result(job, signal);
        return;
      }
      await pause(Math.max(0, POLL_EVERY_MS - (Date.now() - polledAt)), signal);
    }
  } finally {
    if (running) await job.cancel();
  }
}

interface Job {
  /** Reads `/stream/<id>` (what came since the last read) or `/status/<id>`. */
  poll(operation: "stream" | "status", signal: AbortSignal): Promise<{ status: string; body: unknown }>;
  /** Stops the job. Never fails: the job ends by itself, too. */
  cancel(): Promise<void>;
}

async function submit({ inference, ticket }: Session, input: ChatInput, signal: AbortSignal): Promise<Job> {
  const base = inference.url.replace(/\/+$/, "");
  const headers = { Authorization: inference.authorization };
  const call = { headers, timeoutMs: CALL_TIMEOUT_MS, signal };

  const answer = await send({
    ...call,
    method: "POST",
    url: `${base}/run`,
    headers: { ...headers, "Content-Type": "application/json" },
    body: JSON.stringify({ input: { ...input, ticket } }),
  });
  if (!answer.ok) throw problemOfAnswer("POST /run", answer.status, answer.body);
  const jobId = field(answer.body, "id");
  if (typeof jobId !== "string") throw new ApiProblem("unavailable", "POST /run did not answer with a job.");
  const id = encodeURIComponent(jobId);

  return {
    async poll(operation, signal) {
      for (let attempt = 1; ; attempt++) {
        try {
          const { ok, status, body } = await send({
            ...call,
            method: "GET",
            url: `${base}/${operation}/${id}`,
            signal,
          });
          if (!ok) throw problemOfAnswer(`GET /${operation}`, status, body);
          return { status: String(field(body, "status")), body };
        } catch (error) {
          if (!(error instanceof ApiProblem && error.retryable) || attempt === POLL_ATTEMPTS) throw error;
          await pause(attempt * POLL_EVERY_MS * 2, signal);
        }
      }
    },
    async cancel() {
      const cancel = { method: "POST", url: `${base}/cancel/${id}`, headers, timeoutMs: CANCEL_TIMEOUT_MS } as const;
      await send(cancel).catch(() => undefined);
    },
  };
}

/** The items of a `/stream` answer: `{"status": …, "stream": [{"output": item}, …]}`. */
function streamed(body: unknown): ChatItem[] {
  const stream = field(body, "stream");
  return Array.isArray(stream) ? stream.map((entry) => field(entry, "output")).filter(isItem) : [];
}

/** The result of a finished job whose last item did not come by `/stream`: reading drains, and an answer can be lost. */
async function result(job: Job, signal: AbortSignal): Promise<ChatDone> {
  const { status, body } = await job.poll("status", signal);
  if (status !== "COMPLETED") throw problemOfJob(status, field(body, "error"));
  const output = field(body, "output");
  const done = (Array.isArray(output) ? output : [output]).findLast(isDone);
  if (!done) throw new ApiProblem("internal", "The model finished without an answer. Try again.");
  return done;
}

function isItem(value: unknown): value is ChatItem {
  return typeof field(value, "delta") === "string" || isDone(value);
}

function isDone(value: unknown): value is ChatDone {
  return field(value, "done") === true && typeof field(value, "text") === "string";
}

function isOver(status: string): boolean {
  return ["COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"].includes(status);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });
}
