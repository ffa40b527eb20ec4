import { z } from "zod";
import type { ApiOptions } from "../client";
import { isNotFound, RunpodError, redact, refusedKey } from "../error";
import { callJson, type HttpResponse } from "../http";
import { finalError, isTransientStatus } from "../retry";

/** Body of an error response, `application/problem+json`. */
const problem = z.object({ title: z.string(), detail: z.string(), errors: z.array(z.unknown()) }).partial();

/** A call of RunPod's REST API. */
interface RestCall<T> {
  /** Name of the operation in error messages. */
  operation: string;
  method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Path below `/v2`. */
  path: string;
  body?: object;
  /** Schema of the response. */
  response: z.ZodType<T>;
  /** Values in the body that must not appear in an error message. */
  secrets?: string[];
}

/**
 * Calls RunPod's REST API. Every method throws `RunpodError`. After a transient failure, every call except a POST is
 * retried.
 */
export interface RestRequests {
  send<T>(call: RestCall<T>): Promise<T>;
  /** Reads the list in the field `key` of the response. */
  list<T>(path: string, key: string, record: z.ZodType<T>): Promise<T[]>;
  /** Reads one resource. Undefined when it does not exist. */
  get<T>(operation: string, path: string, record: z.ZodType<T>): Promise<T | undefined>;
  /** Deletes a resource. Also succeeds when the resource does not exist. */
  remove(operation: string, path: string): Promise<void>;
}

/** A save reads back only the id, so that an unexpected value in another field cannot make the save fail. */
export const idOnly = z.object({ id: z.string() });

/** Path of one resource. */
export function itemPath(collection: "templates" | "serverless" | "registries", id: string): string {
  return `/${collection}/${encodeURIComponent(id)}`;
}

/** Connects to RunPod's REST API. */
export function restRequests({ apiKey, url, timeoutMs = 30_000 }: ApiOptions): RestRequests {
  const base = `${url.replace(/\/+$/, "")}/v2`;

  async function send<T>(call: RestCall<T>): Promise<T> {
    const { operation, method, path, body, response, secrets = [] } = call;
    // A repeated POST would create a second resource.
    const isRepeatable = method !== "POST";
    const received = await callJson({
      operation,
      method,
      url: base + path,
      apiKey,
      timeoutMs,
      isRepeatable,
      ...(body && { body }),
    });
    if (received.status >= 300) {
      const error = refusal(operation, received, [apiKey, ...secrets]);
      throw isRepeatable ? finalError(error, received.attempts) : error;
    }
    const parsed = response.safeParse(received.body);
    if (parsed.success) return parsed.data;
    throw new RunpodError(`Unexpected response from RunPod to ${operation}: ${z.prettifyError(parsed.error)}`, {
      transient: false,
      maybeDone: true,
    });
  }

  return {
    send,

    async list<T>(path: string, key: string, record: z.ZodType<T>) {
      const response = z.object({ [key]: z.array(record) });
      const body = await send({ operation: `list ${path}`, method: "GET", path: `/${path}`, response });
      return body[key] ?? [];
    },

    async get<T>(operation: string, path: string, record: z.ZodType<T>) {
      try {
        return await send({ operation, method: "GET", path, response: record });
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
    },

    async remove(operation, path) {
      try {
        await send({ operation, method: "DELETE", path, response: z.unknown() });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    },
  };
}

/** Error for a response that is not a success. */
function refusal(operation: string, response: HttpResponse, secrets: string[]): RunpodError {
  const { status, body, retryAfterMs } = response;
  if (status === 401) return refusedKey(operation, "is not valid");
  if (status === 403) return refusedKey(operation, "lacks the permission");
  if (status < 400) {
    const reason = `HTTP ${status} redirects to another address. Check runpodApiUrl.`;
    return new RunpodError(`RunPod did not answer ${operation}: ${reason}`, { transient: false });
  }
  const { title, detail, errors = [] } = problem.safeParse(body).data ?? {};
  const reasons = [detail ?? title ?? (status === 404 ? "not found" : `HTTP ${status}`), ...errors.map(asText)];
  const transient = isTransientStatus(status);
  const verb = transient ? "could not do" : "refused";
  // `isNotFound` and `isInUse` look for the meaning of the status in the message. RunPod's own text does not always
  // contain this meaning.
  const meaning = status === 404 ? "not found" : status === 409 ? "conflict" : "";
  const suffix = reasons.join().toLowerCase().includes(meaning) ? "" : ` (${meaning})`;
  const message = `RunPod ${verb} ${operation}: ${reasons.join("; ")}${suffix}`;
  return new RunpodError(redact(message, secrets), { transient, retryAfterMs });
}

function asText(error: unknown): string {
  return typeof error === "string" ? error : JSON.stringify(error);
}
