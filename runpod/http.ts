import type { Readable } from "node:stream";
import axios, { type AxiosInstance, type AxiosResponse, type InternalAxiosRequestConfig } from "axios";
import axiosRetry from "axios-retry";
import { USER_AGENT } from "./client";
import { noResponseError, type RunpodError } from "./error";
import { finalError, isRetryable, isTransientStatus, parseRetryAfter, RETRIES, retryDelayMs } from "./retry";

/** A call of a JSON API. */
interface JsonCall {
  /** Name of the operation in error messages. */
  operation: string;
  method: "GET" | "POST" | "PATCH" | "DELETE";
  url: string;
  apiKey: string;
  body?: object;
  /** Limit of one attempt. */
  timeoutMs: number;
  /**
   * Whether the operation may be retried after a transient failure. Default: false, so that a create is not repeated.
   */
  isRepeatable?: boolean;
}

/** HTTP response, any status. */
export interface HttpResponse {
  status: number;
  /** Parsed JSON, or the text when it is not JSON. */
  body: unknown;
  retryAfterMs: number | undefined;
  /** Number of attempts, including the one that got this response. */
  attempts: number;
}

/** HTTP client for every call of this provider except GraphQL. */
const http = createHttp();

function createHttp(): AxiosInstance {
  // Following a redirect would send the API key and a registry's password to another host.
  const client = axios.create({ maxRedirects: 0, proxy: false, headers: { "user-agent": USER_AGENT } });
  client.interceptors.request.use((config) => {
    // The timeout of axios starts again with every received byte. The signal limits the whole attempt.
    if (config.timeout) config.signal = AbortSignal.timeout(config.timeout);
    return config;
  });
  axiosRetry(client, {
    shouldResetTimeout: true,
    retryCondition: ({ response }) => isRetryable(retryFacts(response)),
    retryDelay: (n, { response }) => retryDelayMs(n, retryFacts(response).retryAfterMs),
    // The signal of the failed attempt could abort while axios-retry waits. The next attempt would then start at once.
    // So `onRetry` removes the signal, and the interceptor above sets a new one for the next attempt.
    onRetry: (_n, _error, config) => void delete config.signal,
  });
  return client;
}

function retryFacts(response: AxiosResponse | undefined): Pick<RunpodError, "transient" | "retryAfterMs"> {
  if (response === undefined) return { transient: true, retryAfterMs: undefined };
  return { transient: isTransientStatus(response.status), retryAfterMs: parseRetryAfter(retryAfterHeader(response)) };
}

function retryAfterHeader({ headers }: AxiosResponse): string | undefined {
  const value: unknown = headers["retry-after"];
  return typeof value === "string" ? value : undefined;
}

/**
 * Calls a JSON API of RunPod.
 *
 * @throws RunpodError when there is no response. Never throws an axios error, which would contain the key and the body
 */
export async function callJson(call: JsonCall): Promise<HttpResponse> {
  const { method, url, apiKey, body, timeoutMs, isRepeatable = false } = call;
  try {
    const response = await http.request<unknown>({
      method,
      url,
      headers: { authorization: `Bearer ${apiKey}`, accept: "application/json" },
      ...(body && { data: body }),
      timeout: timeoutMs,
      "axios-retry": { retries: isRepeatable ? RETRIES : 0 },
    });
    return httpResponse(response);
  } catch (error) {
    if (!axios.isAxiosError<unknown>(error)) throw noResponseError(call, error);
    if (error.response !== undefined) return httpResponse(error.response);
    const isTimeout = axios.isCancel(error) || error.code === "ECONNABORTED";
    const failure = noResponseError(call, isTimeout ? "timeout" : error);
    throw isRepeatable ? finalError(failure, attempts(error.config)) : failure;
  }
}

function httpResponse(response: AxiosResponse<unknown>): HttpResponse {
  const { status, data, config } = response;
  const { retryAfterMs } = retryFacts(response);
  return { status, body: data, retryAfterMs, attempts: attempts(config) };
}

function attempts(config: InternalAxiosRequestConfig | undefined): number {
  return (config?.["axios-retry"]?.retryCount ?? 0) + 1;
}

/** Reads a stream that may not end. Returns the text received within `limitMs`, which is empty if the call fails. */
export async function readStream(url: string, apiKey: string, limitMs: number): Promise<string> {
  let text = "";
  try {
    const { data } = await http.get<Readable>(url, {
      headers: { authorization: `Bearer ${apiKey}` },
      responseType: "stream",
      timeout: limitMs,
      "axios-retry": { retries: 0 },
    });
    for await (const chunk of data.setEncoding("utf8")) text += chunk;
  } catch {
    // The time limit has ended the stream, or the request has failed.
  }
  return text;
}
