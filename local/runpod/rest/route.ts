import type { z } from "zod";

/** Request data for a route. */
export interface RestCall {
  /** `{id}` of the path. */
  id: string;
  /** `{workerId}` of the path. */
  workerId: string;
  query: URLSearchParams;
  /** Header `Last-Event-ID` of a client that resumes a stream. */
  lastEventId: string | undefined;
  /** Aborted when the client has closed its connection. */
  hungUp: AbortSignal;
}

/** Route of REST v2. */
export interface RestRoute {
  method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Path below `/v2`, with `{id}` and `{workerId}`. */
  path: string;
  summary: string;
  body: z.ZodType | undefined;
  /** HTTP status of a successful call: 201 after a create, 204 for an empty response. */
  status: 200 | 201 | 204;
  answer(call: RestCall, body: never): unknown;
}

/** Creates a route without a request body. */
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

/** Creates a route with a request body, which is validated before `answer` is called. */
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
