import { z } from "zod";
import { type Call, failedCall, parseResponse } from "../call";
import type { ApiOptions } from "../client";
import { isNotFound, RunpodError, refusedKey } from "../error";
import { callJson, type HttpResponse } from "../http";
import { type Listing, listing } from "../nullable";
import { retryTransient } from "../retry";

/** Body of an error response, `application/problem+json`. */
const problem = z.object({ title: z.string(), detail: z.string(), errors: z.array(z.unknown()) }).partial();

/** A call of RunPod's REST API. `secrets` must contain the secret values of the body. */
interface RestCall<T> extends Call<T> {
  method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Path below `/v2`. */
  path: string;
  body?: object;
}

/**
 * Calls RunPod's REST API. Every method throws `RunpodError`. Retries every call except a POST after a transient
 * failure.
 */
export interface RestRequests {
  send<T>(call: RestCall<T>): Promise<T>;
  /** Reads all pages of a list. `key` is the field of the response that contains the list. */
  list<T>(path: string, key: string, record: z.ZodType<T>): Promise<Listing<T>>;
  /** Reads one resource. Undefined when it does not exist. */
  get<T>(operation: string, path: string, record: z.ZodType<T>): Promise<T | undefined>;
  /** Deletes a resource. Also succeeds when the resource does not exist. */
  remove(operation: string, path: string): Promise<void>;
}

/** Last sentence of the error for 405 Method Not Allowed. */
export const NOT_OFFERED = "RunPod's REST API does not offer this call.";

/** Cursor of a list's next page. A list without pages has no cursor. */
const pagination = z.object({ nextCursor: z.string().nullish(), hasNextPage: z.boolean().nullish() }).nullish();
/** Maximum number of pages. A longer list is an error: RunPod probably repeats the same pages. */
const MAX_PAGES = 1_000;

/** Path of one resource. */
export function itemPath(
  collection: "templates" | "serverless" | "registries" | "account/secrets" | "pods",
  id: string,
): string {
  return `/${collection}/${encodeURIComponent(id)}`;
}

/** Connects to RunPod's REST API. */
export function restRequests({ apiKey, url, timeoutMs = 30_000 }: ApiOptions): RestRequests {
  const base = `${url.replace(/\/+$/, "")}/v2`;

  /** A repeated POST would create a second resource. */
  function send<T>(call: RestCall<T>): Promise<T> {
    return call.method === "POST" ? sendOnce(call) : retryTransient((firstAt) => sendOnce(call, firstAt));
  }

  async function sendOnce<T>(call: RestCall<T>, firstAt = performance.now()): Promise<T> {
    const { operation, method, path, body, secrets = [] } = call;
    const url = base + path;
    const received = await callJson({ operation, method, url, apiKey, timeoutMs, firstAt, ...(body && { body }) });
    if (received.status >= 300) throw refusal(operation, received, [apiKey, ...secrets]);
    return parseResponse(call, received.body);
  }

  return {
    send,

    async list<T>(path: string, key: string, record: z.ZodType<T>) {
      const response = z.object({ [key]: listing(record) }).and(z.object({ pagination }));
      const all: Listing<T> = { items: [], unreadable: [] };
      let query = "";
      for (let pages = 0; pages < MAX_PAGES; pages += 1) {
        const page = await send({
          operation: `list ${path}`,
          method: "GET",
          path: `/${path}${query}`,
          response,
          isRepeatedWhenInvalid: true,
        });
        const { items = [], unreadable = [] } = page[key] ?? {};
        all.items.push(...items);
        all.unreadable.push(...unreadable);
        const next = page.pagination?.nextCursor;
        if (!next) return all;
        query = `?cursor=${encodeURIComponent(next)}`;
      }
      throw new RunpodError(`RunPod's list of ${path} has more than ${MAX_PAGES} pages.`, { transient: false });
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
  if (status < 400) {
    const reason = `HTTP ${status} redirects to another address. Check runpodApiUrl.`;
    return new RunpodError(`RunPod did not answer ${operation}: ${reason}`, { transient: false });
  }
  const { title, detail, errors = [] } = problem.safeParse(body).data ?? {};
  const reasons = [detail ?? title ?? (status === 404 ? "not found" : `HTTP ${status}`), ...errors.map(asText)];
  // `isNotFound` and `isNameTaken` search for these words in the message. RunPod's own text does not always contain
  // them.
  const meaning = status === 404 ? "not found" : status === 409 ? "conflict" : "";
  const suffix = reasons.join().toLowerCase().includes(meaning) ? "" : ` (${meaning})`;
  const reason = `${reasons.join("; ")}${suffix}`;
  return failedCall({ operation, status, reason, todo: explanations[status], retryAfterMs }, secrets);
}

/** Next step for the operator, by HTTP status. Retries do not help after these statuses. */
const explanations: Record<number, string> = {
  402: "The account has no credit: add some in RunPod's console, under Billing.",
  403: "Either the API key (runpodApiKey) lacks the permission, or the account may not use one of the GPU pools.",
  405: NOT_OFFERED,
  413: "RunPod accepts at most 102,400 bytes: make the template's environment shorter.",
};

function asText(error: unknown): string {
  return typeof error === "string" ? error : JSON.stringify(error);
}
