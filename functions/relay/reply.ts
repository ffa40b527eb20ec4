import type { Writable } from "node:stream";
import { type ApiError, RateLimited } from "../../contract/errors";
import type { ChatReply, RelayItem } from "../../contract/relay";
import { waitingSentence } from "../core/relay/mama";
import { jsonHeaders } from "../lib/http";
import { startResponse } from "../lib/streaming";
import { type ChatReader, silentReader } from "./chat";

/** If no text arrives within this time, the client gets status 200 and an item `waiting`. */
const WAITING_AFTER_MS = 8_000;
/** Interval between two comments. They stop proxies and clients from closing an idle connection. */
const HEARTBEAT_MS = 5_000;
/** Time for a slow reader to receive the end of an answer. */
const FINISH_MS = 10_000;
/**
 * A comment of server-sent events. Lambda delivers a small chunk only together with the next chunk
 * (aws-lambda-nodejs-runtime-interface-client#102), so a comment follows each event.
 */
const COMMENT = ":\n\n";

/** Details of a failed chat. */
interface FailureDetail {
  /** The part of the reply that was sent before the failure. */
  text?: string | undefined;
  /** Mama's sentence that the frontend shows. */
  message?: string | undefined;
  retryAfterMs?: number | undefined;
}

/** Writes the answer to one chat. Exactly one of `done` and `fail` ends it. */
export interface Reply extends ChatReader {
  /** Sends the whole reply. The answer stays open until `end`. */
  done(reply: ChatReply): void;
  /** Sends the error, with its HTTP status if the status was not sent yet. */
  fail(error: ApiError, detail?: FailureDetail): void;
  /** Ends the answer. Resolves when Lambda has received the whole answer. */
  end(): Promise<void>;
}

/** Settings of a reply. */
export interface ReplyOptions {
  /** Headers besides the content type and the cache rules. */
  headers?: Record<string, string>;
  /** Ends the wait for a slow reader. */
  signal: AbortSignal;
  /** Replaces the default times. For tests. */
  waitingAfterMs?: number;
  heartbeatMs?: number;
}

/**
 * Answers with server-sent events. Sends status and headers with the first text, with an error, or after eight seconds.
 */
export function eventReply(response: Writable, options: ReplyOptions): Reply {
  const { signal, heartbeatMs = HEARTBEAT_MS, waitingAfterMs = WAITING_AFTER_MS } = options;
  const startedAt = performance.now();
  let out: Writable | undefined;
  let heartbeat: NodeJS.Timeout | undefined;
  const start = () => {
    clearTimeout(waiting);
    heartbeat = setInterval(() => out && !out.writableNeedDrain && out.write(COMMENT), heartbeatMs);
    return startResponse(response, 200, {
      ...jsonHeaders,
      "content-type": "text/event-stream; charset=utf-8",
      "server-timing": `start;dur=${Math.round(performance.now() - startedAt)}`,
      ...options.headers,
    });
  };
  const send = (item: RelayItem) => {
    out ??= start();
    return write(out, signal, `data: ${JSON.stringify(item)}\n\n`, COMMENT);
  };
  // The write rejects only when the chat is aborted. The chat then reports the error.
  const wait = () => void send({ waiting: true, message: waitingSentence }).catch(() => {});
  const waiting = setTimeout(wait, waitingAfterMs);
  const stopTimers = () => {
    clearTimeout(waiting);
    clearInterval(heartbeat);
  };
  return {
    delta: (delta) => send({ delta }),
    restart: () => send({ restart: true }),
    done: (reply) => {
      void send({ ...reply, done: true }).catch(() => {});
      stopTimers();
    },
    fail: (error, { text, ...detail } = {}) => {
      stopTimers();
      if (out) void send({ ...error.body, ...(text && { text }) }).catch(() => {});
      else out = sendError(response, error, { text, ...detail }, options.headers);
    },
    end: () => finish(out ?? response),
  };
}

/** Answers with one JSON body. */
export function jsonReply(response: Writable, { headers }: Pick<ReplyOptions, "headers">): Reply {
  let out = response;
  return {
    ...silentReader,
    done: (reply) => {
      out = startResponse(response, 200, { ...jsonHeaders, ...headers });
      out.write(JSON.stringify(reply));
    },
    fail: (error, detail) => {
      out = sendError(response, error, detail, headers);
    },
    end: () => finish(out),
  };
}

/** Writes a JSON body and ends the answer. */
export async function sendJson(
  response: Writable,
  status: number,
  body: object,
  headers: Record<string, string> = {},
): Promise<void> {
  const out = startResponse(response, status, { ...jsonHeaders, ...headers });
  out.write(JSON.stringify(body));
  await finish(out);
}

/** Header `Retry-After` of an error, in seconds. */
export function retryAfter(error: ApiError, retryAfterMs?: number): Record<string, string> {
  const seconds =
    error instanceof RateLimited ? error.retryAfterSeconds : retryAfterMs && Math.ceil(retryAfterMs / 1000);
  return seconds === undefined ? {} : { "retry-after": String(seconds) };
}

function sendError(
  response: Writable,
  error: ApiError,
  { text, message, retryAfterMs }: FailureDetail = {},
  headers: Record<string, string> = {},
): Writable {
  const out = startResponse(response, error.status, { ...jsonHeaders, ...headers, ...retryAfter(error, retryAfterMs) });
  out.write(JSON.stringify({ ...error.body, ...(text && { text }), ...(message && { message }) }));
  return out;
}

/** Writes chunks and waits until the response's buffer has room again, so that a slow reader uses no memory. */
async function write(out: Writable, signal: AbortSignal, ...chunks: string[]): Promise<void> {
  if (out.destroyed) return;
  let hasRoom = true;
  for (const chunk of chunks) hasRoom = out.write(chunk);
  if (!hasRoom) await drained(out, signal);
}

function drained(out: Writable, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      out.off("drain", settle).off("close", settle);
      signal.removeEventListener("abort", settle);
      if (signal.aborted) reject(signal.reason);
      else resolve();
    };
    out.on("drain", settle).on("close", settle);
    signal.addEventListener("abort", settle);
    if (signal.aborted) settle();
  });
}

/**
 * Ends the response and waits until Lambda has received all of it. If the reader takes too long, closes the response
 * early.
 */
async function finish(out: Writable): Promise<void> {
  if (out.destroyed) return;
  const giveUp = setTimeout(() => out.destroy(), FINISH_MS);
  await new Promise<void>((resolve) => {
    out.once("close", resolve);
    out.end(resolve);
  });
  clearTimeout(giveUp);
}
