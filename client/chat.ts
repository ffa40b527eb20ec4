import { send } from "./http";
import { ApiProblem, field, problemFromJob, problemFromResponse } from "./problem";
import type { ChatDone, ChatInput, ChatItem, ChatMessage, Limits, Session } from "./types";

/** Cancellation, session renewal and time limit of one chat. */
export interface ChatOptions {
  /** Aborting the signal cancels the job and throws the signal's reason. Leaving the loop early also cancels the job. */
  signal?: AbortSignal;
  /**
   * Creates a new session. `chat` calls it before the job when the ticket is about to expire. `chat` also calls it once
   * when the worker rejects the ticket or RunPod rejects the endpoint's key, unless text has already arrived. Without
   * this function, `chat` throws the worker's or RunPod's error.
   */
  renew?: () => Promise<Session>;
  /** Time limit of the whole chat, including the worker's cold start. Default 5 minutes. */
  timeoutMs?: number;
}

/** Minimum time between the starts of two polls. */
const POLL_EVERY_MS = 200;
/** Longer than a `/stream` poll, which RunPod holds for about 10 s. */
const CALL_TIMEOUT_MS = 30_000;
const CANCEL_TIMEOUT_MS = 5_000;
/** Number of failed attempts of one poll after which the chat fails. */
const POLL_ATTEMPTS = 4;
/** A ticket that expires within this time could expire while the job waits in the queue. */
const RENEW_AHEAD_MS = 10_000;

/**
 * Sends a message to the assistant and yields the reply as it arrives: `{delta}` pieces, then one item with `done` and
 * the whole reply.
 *
 * @throws ApiProblem with the worker's code, or `timeout`
 * @throws the signal's reason when the signal is aborted
 * @example
 * for await (const item of chat(session, { text: "こんばんは" }, { renew: api.session })) {
 * if ("delta" in item) bubble.textContent += item.delta;
 * else bubble.textContent = item.text;
 * }
 */
export async function* chat(
  session: Session,
  input: ChatInput,
  { signal, renew, timeoutMs = 300_000 }: ChatOptions = {},
): AsyncGenerator<ChatItem, void, void> {
  const limit = AbortSignal.timeout(timeoutMs);
  const stopSignal = signal ? AbortSignal.any([signal, limit]) : limit;
  let started = false;
  try {
    const expiresSoon = Date.parse(session.ticket_expires_at) - RENEW_AHEAD_MS < Date.now();
    try {
      for await (const item of runJob(expiresSoon && renew ? await renew() : session, input, stopSignal)) {
        started = true;
        yield item;
      }
    } catch (error) {
      if (!renew || started || !mayNewSessionHelp(error)) throw error;
      yield* runJob(await renew(), input, stopSignal);
    }
  } catch (error) {
    if (limit.aborted && !signal?.aborted) {
      throw new ApiProblem("timeout", `No answer in ${timeoutMs / 1000} s. Try again.`, { cause: error });
    }
    throw error;
  }
}

/**
 * Whether a retry with a new session may succeed: the ticket has expired, or the ticket key or the endpoint key was
 * rotated.
 */
function mayNewSessionHelp(error: unknown): boolean {
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
      for (const item of streamItems(body)) {
        if ("done" in item) running = false;
        yield item;
        if ("done" in item) return;
      }
      if (isFinal(status)) {
        running = false;
        yield await readResult(job, signal);
        return;
      }
      await pause(Math.max(0, POLL_EVERY_MS - (Date.now() - polledAt)), signal);
    }
  } finally {
    if (running) await job.cancel();
  }
}

interface Job {
  /** Reads `/stream/<id>` (the items since the last read) or `/status/<id>` (the whole job). */
  poll(operation: "stream" | "status", signal: AbortSignal): Promise<{ status: string; body: unknown }>;
  /** Cancels the job. Ignores a failed cancellation, because the job's own time limit ends the job anyway. */
  cancel(): Promise<void>;
}

async function submit({ inference, ticket }: Session, input: ChatInput, signal: AbortSignal): Promise<Job> {
  const base = inference.url.replace(/\/+$/, "");
  const headers = { Authorization: inference.authorization };
  const call = { headers, timeoutMs: CALL_TIMEOUT_MS, signal };

  const response = await send({
    ...call,
    method: "POST",
    url: `${base}/run`,
    headers: { ...headers, "Content-Type": "application/json" },
    body: JSON.stringify({ input: { ...input, ticket } }),
  });
  if (!response.ok) throw problemFromResponse("POST /run", response.status, response.body);
  const jobId = field(response.body, "id");
  if (typeof jobId !== "string") throw new ApiProblem("unavailable", "POST /run answered without a job id.");
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
          if (!ok) throw problemFromResponse(`GET /${operation}`, status, body);
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

/** Reads the items of a `/stream` response `{"status": …, "stream": [{"output": item}, …]}`. */
function streamItems(body: unknown): ChatItem[] {
  const stream = field(body, "stream");
  return Array.isArray(stream) ? stream.map((entry) => field(entry, "output")).filter(isItem) : [];
}

/**
 * Reads the result of a finished job from `/status`. This is needed when `/stream` did not deliver the last item.
 * RunPod delivers each item only once, so the items of a lost response never arrive.
 */
async function readResult(job: Job, signal: AbortSignal): Promise<ChatDone> {
  const { status, body } = await job.poll("status", signal);
  if (status !== "COMPLETED") throw problemFromJob(status, field(body, "error"));
  const output = field(body, "output");
  const done = (Array.isArray(output) ? output : [output]).findLast(isDone);
  if (!done) throw new ApiProblem("internal", "The model finished without a reply. Try again.");
  return done;
}

function isItem(value: unknown): value is ChatItem {
  return typeof field(value, "delta") === "string" || isDone(value);
}

function isDone(value: unknown): value is ChatDone {
  return field(value, "done") === true && typeof field(value, "text") === "string";
}

function isFinal(status: string): boolean {
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

/**
 * Cuts a conversation down to a session's limits. Keeps the newest `max_messages` messages, starting with a user's
 * message, and shortens the assistant's messages to `max_input_chars`. A user's message that is too long stays
 * unchanged, so that the worker rejects it.
 */
export function fitConversation(messages: readonly ChatMessage[], limits: Limits): ChatMessage[] {
  const newest = messages.slice(-limits.max_messages);
  const firstUser = newest.findIndex((message) => message.role === "user");
  return newest
    .slice(Math.max(firstUser, 0))
    .map((message) =>
      message.role === "user" ? message : { ...message, content: cut(message.content, limits.max_input_chars) },
    );
}

function cut(text: string, maxChars: number): string {
  // Half a surrogate pair is not a character, and a JSON parser may reject it.
  return text.slice(0, maxChars).replace(/[\uD800-\uDBFF]$/, "");
}
