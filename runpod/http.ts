import type { Readable } from "node:stream";
import axios, { type AxiosInstance, type AxiosResponse } from "axios";
import { USER_AGENT } from "./client";
import { noResponseError } from "./error";
import { parseRetryAfter } from "./retry";

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
}

/** HTTP response, any status. */
export interface HttpResponse {
  status: number;
  /** Parsed JSON, or the text when it is not JSON. */
  body: unknown;
  retryAfterMs: number | undefined;
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
  return client;
}

/**
 * Calls a JSON API of RunPod once.
 *
 * @throws RunpodError when there is no response. Never throws an axios error, which would contain the key and the body
 */
export async function callJson(call: JsonCall): Promise<HttpResponse> {
  const { method, url, apiKey, body, timeoutMs } = call;
  try {
    const response = await http.request<unknown>({
      method,
      url,
      headers: { authorization: `Bearer ${apiKey}`, accept: "application/json" },
      ...(body && { data: body }),
      timeout: timeoutMs,
    });
    return httpResponse(response);
  } catch (error) {
    if (!axios.isAxiosError<unknown>(error)) throw noResponseError(call, error);
    if (error.response !== undefined) return httpResponse(error.response);
    const isTimeout = axios.isCancel(error) || error.code === "ECONNABORTED";
    throw noResponseError(call, isTimeout ? "timeout" : error);
  }
}

function httpResponse({ status, data, headers }: AxiosResponse<unknown>): HttpResponse {
  const retryAfter: unknown = headers["retry-after"];
  return {
    status,
    body: data,
    retryAfterMs: typeof retryAfter === "string" ? parseRetryAfter(retryAfter) : undefined,
  };
}

/** Reads a stream that may not end. Returns the text received within `limitMs`, which is empty if the call fails. */
export async function readStream(url: string, apiKey: string, limitMs: number): Promise<string> {
  let text = "";
  try {
    const { data } = await http.get<Readable>(url, {
      headers: { authorization: `Bearer ${apiKey}` },
      responseType: "stream",
      timeout: limitMs,
    });
    for await (const chunk of data.setEncoding("utf8")) text += chunk;
  } catch {
    // The time limit has ended the stream, or the request has failed.
  }
  return text;
}
