import { USER_AGENT } from "./client";
import { noResponseError } from "./error";
import { RateLimit } from "./rateLimit";
import { parseRetryAfter } from "./retry";

/** A call of a JSON API. */
interface JsonCall {
  /** Name of the operation in error messages. */
  operation: string;
  method: "GET" | "POST" | "PATCH" | "DELETE";
  url: string;
  apiKey: string;
  body?: object;
  /** Time limit of one attempt. */
  timeoutMs: number;
  /** Start of the first attempt, from `performance.now()`. Default: now. */
  firstAt?: number;
}

/** HTTP response, any status. */
export interface HttpResponse {
  status: number;
  /** Parsed JSON, or the text when it is not JSON. */
  body: unknown;
  retryAfterMs: number | undefined;
}

/** Rate limits by server and key. All clients of this process share them, because RunPod counts their calls together. */
const rateLimits = new Map<string, RateLimit>();

function rateLimitOf(url: string, apiKey: string): RateLimit {
  const id = `${new URL(url).origin} ${apiKey}`;
  const limit = rateLimits.get(id) ?? new RateLimit();
  rateLimits.set(id, limit);
  return limit;
}

/**
 * Calls a JSON API of RunPod once. Waits before the call if RunPod's rate limit allows only a few more calls.
 *
 * @throws RunpodError when there is no response. Its message does not contain the key
 */
export async function callJson(call: JsonCall): Promise<HttpResponse> {
  const { operation, method, url, apiKey, body, timeoutMs, firstAt = performance.now() } = call;
  const init = {
    method,
    ...(body && { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  };
  try {
    const limit = rateLimitOf(url, apiKey);
    const response = await limit.send(operation, firstAt, () => request(url, apiKey, timeoutMs, init));
    const retryAfter = response.headers.get("retry-after");
    return {
      status: response.status,
      body: parsed(await response.text()),
      retryAfterMs: retryAfter === null ? undefined : parseRetryAfter(retryAfter),
    };
  } catch (error) {
    const isTimeout = error instanceof Error && error.name === "TimeoutError";
    throw noResponseError(call, isTimeout ? "timeout" : error);
  }
}

/**
 * Text of the error for a response with an unexpected status, or with status 200 and an unexpected body. Does not contain
 * the body.
 */
export function unexpectedResponse(operation: string, status: number): string {
  return `RunPod answered ${operation} with ${status}${status === 200 ? " and an unexpected body" : ""}`;
}

/**
 * Reads a stream, possibly an endless stream. Returns the text received within `limitMs`. The text is empty if the call
 * fails.
 */
export async function readStream(url: string, apiKey: string, limitMs: number): Promise<string> {
  let text = "";
  try {
    const { ok, body } = await request(url, apiKey, limitMs);
    if (!ok) return "";
    for await (const chunk of body?.pipeThrough(new TextDecoderStream()) ?? []) text += chunk;
  } catch {
    // The time limit is over, or the request has failed.
  }
  return text;
}

/**
 * Opens a stream of server-sent events. The caller reads the body until `signal` aborts the request.
 *
 * @param lastEventId id of the last event of an earlier connection
 */
export function openStream(
  url: string,
  apiKey: string,
  signal: AbortSignal,
  lastEventId: string | undefined,
): Promise<Response> {
  const headers = { accept: "text/event-stream", ...(lastEventId !== undefined && { "last-event-id": lastEventId }) };
  return send(url, apiKey, { headers, signal });
}

/** Sends one request. The time limit includes the reading of the body. */
function request(url: string, apiKey: string, timeoutMs: number, init: RequestInit = {}): Promise<Response> {
  return send(url, apiKey, { ...init, signal: AbortSignal.timeout(timeoutMs) });
}

function send(url: string, apiKey: string, init: RequestInit): Promise<Response> {
  return fetch(url, {
    ...init,
    headers: {
      accept: "application/json",
      authorization: `Bearer ${apiKey}`,
      "user-agent": USER_AGENT,
      ...init.headers,
    },
    // Following a redirect would send the API key and a registry's password to another host.
    redirect: "manual",
  });
}

/** Parses JSON. Returns a text that is not JSON, such as a proxy's error page, unchanged. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
