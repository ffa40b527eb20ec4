import { ApiProblem, parseJson, problemFromResponse } from "./problem";

/** Time limit of requests that nobody waits for. */
const LAST_TIMEOUT_MS = 5_000;

/** HTTP request of the client. */
export interface HttpRequest {
  method: "GET" | "POST";
  url: string;
  headers?: Record<string, string>;
  body?: BodyInit | null;
  signal?: AbortSignal;
  /** Whether the browser finishes the request after the visitor has left the page. */
  keepalive?: boolean;
}

/** Service to which the client sends JSON. */
export interface Service {
  /** Base URL. The URL may end with a slash. */
  url: string;
  /** Value of the `Authorization` header, if any. */
  authorization?: string | undefined;
}

/** Builds a request to a path of a service, with a JSON body if there is one. */
export function jsonRequest(
  method: "GET" | "POST",
  { url, authorization }: Service,
  path: string,
  body?: object,
): HttpRequest {
  return {
    method,
    url: url.replace(/\/+$/, "") + path,
    headers: {
      ...(authorization && { Authorization: authorization }),
      ...(body && { "Content-Type": "application/json" }),
    },
    body: body ? JSON.stringify(body) : null,
  };
}

interface CallOptions {
  body?: object | undefined;
  timeoutMs: number;
  signal?: AbortSignal;
}

/**
 * Calls a path of a service and returns the JSON of its response.
 *
 * @throws ApiProblem like `send`. Also throws for an error status, and throws `internal` when the response is not JSON
 */
export async function callJson(
  method: "GET" | "POST",
  service: Service,
  path: string,
  { body, ...options }: CallOptions,
): Promise<unknown> {
  const response = await send({ ...jsonRequest(method, service, path, body), ...options });
  if (!response.ok) throw problemFromResponse(`${method} ${path}`, response);
  if (response.body === undefined) throw new ApiProblem("internal", `${method} ${path} did not answer JSON.`);
  return response.body;
}

/**
 * Sends a cancellation or a revocation, even while the visitor leaves the page. Returns undefined when the request
 * fails.
 */
export function sendLast(request: HttpRequest): Promise<HttpResponse | undefined> {
  return send({ ...request, keepalive: true, timeoutMs: LAST_TIMEOUT_MS }).catch(() => undefined);
}

/** HTTP response with any status. `body` is parsed JSON, or undefined when the text is not JSON. */
export interface HttpResponse {
  ok: boolean;
  status: number;
  body: unknown;
  /** Value of `Retry-After`. Undefined without this header. */
  retryAfterMs: number | undefined;
}

/**
 * Sends one request and reads its response.
 *
 * @throws ApiProblem `timeout` after `timeoutMs`, `unavailable` when the host cannot be reached
 * @throws the signal's reason when the signal is aborted
 */
export async function send({
  signal,
  timeoutMs,
  ...request
}: HttpRequest & { timeoutMs: number }): Promise<HttpResponse> {
  const limit = AbortSignal.timeout(timeoutMs);
  try {
    const response = await open({ ...request, signal: signal ? AbortSignal.any([signal, limit]) : limit });
    return await readResponse(response);
  } catch (cause) {
    signal?.throwIfAborted();
    throw limit.aborted ? silent(request.url, timeoutMs, cause) : unreachable(request.url, cause);
  }
}

/** Creates the problem of a host that sent nothing within a time limit. */
export function silent(url: string, limitMs: number, cause?: unknown): ApiProblem {
  return new ApiProblem("timeout", `${new URL(url).host} did not answer in ${limitMs / 1000} s.`, { cause });
}

/** Creates the problem of a host that cannot be reached. */
export function unreachable(url: string, cause: unknown): ApiProblem {
  return new ApiProblem("unavailable", `${new URL(url).host} could not be reached.`, { cause });
}

/** Sends one request and returns when the response's headers have arrived. Rejects like `fetch`. */
export function open({ url, ...request }: HttpRequest): Promise<Response> {
  return fetch(url, { ...request, cache: "no-store", credentials: "omit", redirect: "error" });
}

/** Reads the whole body of a response. Rejects like `Response.text`. */
export async function readResponse(response: Response): Promise<HttpResponse> {
  return {
    ok: response.ok,
    status: response.status,
    body: parseJson(await response.text()),
    retryAfterMs: parseRetryAfter(response.headers.get("retry-after")),
  };
}

/**
 * Reads `Retry-After` (RFC 9110, 10.2.3): seconds, or a date. Returns undefined when the header contains no time in the
 * future.
 */
function parseRetryAfter(value: string | null): number | undefined {
  return Math.max(0, Number(value) * 1000 || Date.parse(value ?? "") - Date.now()) || undefined;
}
