import { ApiProblem, parseJson } from "./problem";

/** HTTP request of the client. */
export interface HttpRequest {
  method: "GET" | "POST";
  url: string;
  headers?: Record<string, string>;
  body?: string;
  timeoutMs: number;
  signal?: AbortSignal;
}

/** HTTP response with any status. `body` is parsed JSON, or undefined when the text is not JSON. */
export interface HttpResponse {
  ok: boolean;
  status: number;
  body: unknown;
}

/**
 * Sends one request.
 *
 * @throws ApiProblem `timeout` after `timeoutMs`, `unavailable` when the host cannot be reached
 * @throws the signal's reason when the signal is aborted
 */
export async function send({ method, url, headers, body, timeoutMs, signal }: HttpRequest): Promise<HttpResponse> {
  const limit = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, {
      method,
      ...(headers && { headers }),
      ...(body !== undefined && { body }),
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
    });
    return { ok: response.ok, status: response.status, body: parseJson(await response.text()) };
  } catch (cause) {
    signal?.throwIfAborted();
    const { host } = new URL(url);
    if (limit.aborted) throw new ApiProblem("timeout", `${host} did not answer in ${timeoutMs / 1000} s.`, { cause });
    throw new ApiProblem("unavailable", `${host} could not be reached.`, { cause });
  }
}
