import type { z } from "zod";

/** One call as its route sees it. */
export interface RestCall {
  /** The id in the path. */
  id: string;
  /** The worker's id, where the path has one. */
  worker: string;
  query: URLSearchParams;
  /** `Last-Event-ID`, where a client reads a stream again. */
  lastEventId: string | undefined;
  /** Aborted when the client has hung up. */
  gone: AbortSignal;
}

/** One call of REST v2. */
export interface RestRoute {
  method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Below `/v2`, with `{id}` and `{workerId}`. */
  path: string;
  summary: string;
  body: z.ZodType | undefined;
  /** 201 for a create, 204 for what answers nothing. */
  status: 200 | 201 | 204;
  answer(call: RestCall, body: never): unknown;
}

/** A call without a body. */
export function route(
  call: `${"GET" | "DELETE"} ${string}`,
  summary: string,
  answer: (call: RestCall) => unknown,
): RestRoute {
  const [method, path = ""] = call.split(" ");
  return {
    method: method as RestRoute["method"],
    path,
    summary,
    body: undefined,
    status: method === "DELETE" ? 204 : 200,
    answer,
  };
}

/** A call with a body, which is checked before. */
export function bodyRoute<S extends z.ZodType>(
  call: `${"POST" | "PATCH"} ${string}`,
  summary: string,
  body: S,
  answer: (call: RestCall, body: z.output<S>) => unknown,
): RestRoute {
  const [method, path = ""] = call.split(" ");
  return {
    method: method as RestRoute["method"],
    path,
    summary,
    body,
    status: method === "POST" ? 201 : 200,
    answer,
  };
}
