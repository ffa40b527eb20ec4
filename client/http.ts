import { ApiProblem } from "./problem";

/** One call of the client. */
export interface Call {
  method: "GET" | "POST";
  url: string;
  headers?: Record<string, string>;
  body?: string;
  timeoutMs: number;
  signal?: AbortSignal;
}

/** An answer, whatever its status. `body` is undefined where it was not JSON. */
export interface Answer {
  ok: boolean;
  status: number;
  body: unknown;
}

/**
 * Makes one call.
 *
 * @throws ApiProblem `timeout` after `timeoutMs`, `unavailable` when there is no answer at all
 * @throws the signal's reason when it is aborted
 */
export async function send({ method, url, headers, body, timeoutMs, signal }: Call): Promise<Answer> {
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
    return { ok: response.ok, status: response.status, body: json(await response.text()) };
  } catch (cause) {
    signal?.throwIfAborted();
    const { host } = new URL(url);
    if (limit.aborted) throw new ApiProblem("timeout", `${host} did not answer in ${timeoutMs / 1000} s.`, { cause });
    throw new ApiProblem("unavailable", `${host} could not be reached.`, { cause });
  }
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
