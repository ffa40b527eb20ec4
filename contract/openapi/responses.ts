import * as z from "zod/mini";
import type { ZodOpenApiResponseObject, ZodOpenApiResponsesObject } from "zod-openapi";
import { ApiError, type ErrorCode, errorCodes } from "../errors";
import { WorkerFailure } from "../worker";

/** Error that API Gateway itself sends, such as `{"message":"Unauthorized"}`. */
export const GatewayError = z.object({ message: z.string() });

/** Error that Lambda itself sends at the relay's URL. The spelling of the field depends on the error. */
export const FunctionUrlError = z.object({
  message: z.optional(z.string()),
  Message: z.optional(z.string()),
  Reason: z.optional(z.string()),
  Type: z.optional(z.string()),
});

/** Error that RunPod itself sends at a job API. RunPod documents no format. We have seen only this format. */
export const RunpodError = z.object({ status: z.int(), title: z.string(), detail: z.string() });

type Headers = Record<string, { description: string; schema: { type: "string" | "integer" } }>;

const header = (description: string, type: "string" | "integer" = "string") => ({ description, schema: { type } });
const retryAfter = { "retry-after": header("Seconds until the next try", "integer") };
const noStore = { "cache-control": header("`private, no-store`") };

/** An answer of a service in front of a handler. */
interface FrontAnswer {
  when: string;
  example: unknown;
  headers?: Headers;
}

/** A service in front of a handler. It refuses some requests before the handler runs, in a different error format. */
export interface Front {
  name: string;
  /** Prefix of the names of this service's responses in the document's components. */
  id: string;
  error: z.ZodMiniType;
  /** Headers of all answers that this service sends or forwards. */
  headers: Headers;
  /** Answers of this service itself, by HTTP status. */
  answers: Record<number, FrontAnswer>;
}

const gatewayAnswer = (message: string, when: string): FrontAnswer => ({ when, example: { message } });

/**
 * API Gateway in front of a route without sign-in. Sources: AWS's documentation of HTTP APIs (throttling, quotas, JWT
 * authorizers, CORS).
 */
export const gateway: Front = {
  name: "API Gateway",
  id: "Gateway",
  error: GatewayError,
  headers: { "apigw-requestid": header("Id of the request in API Gateway's log") },
  answers: {
    403: gatewayAnswer("Forbidden", "The API is not available under this host name"),
    404: gatewayAnswer("Not Found", "No route has this method and path"),
    413: gatewayAnswer("Request Entity Too Large", "The body has more than 10 MB"),
    429: gatewayAnswer("Too Many Requests", "The route's limit for all callers together is reached"),
    500: gatewayAnswer("Internal Server Error", "The function failed"),
    503: gatewayAnswer("Service Unavailable", "The function did not answer within 30 s"),
    504: gatewayAnswer("Endpoint request timed out", "API Gateway did not reach Lambda in time"),
  },
};

/** API Gateway in front of a route with sign-in. Its authorizer checks the ID token before the function runs. */
export const authorizer: Front = {
  ...gateway,
  answers: {
    ...gateway.answers,
    401: {
      ...gatewayAnswer("Unauthorized", "The authorizer refused the token"),
      headers: { "www-authenticate": header("`Bearer`") },
    },
  },
};

const lambdaError = (type: string, when: string, example: unknown): FrontAnswer => ({
  when,
  example,
  headers: { "x-amzn-errortype": header(`\`${type}\``) },
});

/** Lambda in front of the relay. Sources: AWS's documentation of function URLs and of the errors of Invoke. */
export const functionUrl: Front = {
  name: "Lambda",
  id: "FunctionUrl",
  error: FunctionUrlError,
  headers: { "x-amzn-requestid": header("Id of the request in Lambda's log") },
  answers: {
    400: lambdaError("InvalidRequestContentException", "Lambda cannot convert the request to an event", {
      message: "Could not parse request body into json.",
    }),
    403: lambdaError("AccessDeniedException", "The permissions of the function URL are missing", {
      Message: "Forbidden. For troubleshooting Function URL authorization issues, see: https://docs.aws.amazon.com/…",
    }),
    413: lambdaError("RequestEntityTooLargeException", "The body has more than 6 MB", {
      Message: "Request must be smaller than 6291456 bytes for the InvokeFunction operation",
    }),
    429: lambdaError("TooManyRequestsException", "All reserved executions of the relay are in use", {
      Reason: "ReservedFunctionConcurrentInvocationLimitExceeded",
      Type: "User",
      message: "Rate Exceeded.",
    }),
    502: {
      when: "The function failed. The body is text, although the content type is JSON",
      example: "Internal Server Error",
    },
    504: { when: "The function has reached its time limit", example: { message: "Endpoint request timed out" } },
  },
};

const runpodAnswer = (status: number, title: string, detail: string, when: string): [number, FrontAnswer] => [
  status,
  { when, example: { status, title, detail } },
];

/** RunPod in front of the workers. Source: docs.runpod.io, operation reference. */
export const runpod: Front = {
  name: "RunPod",
  id: "Runpod",
  error: RunpodError,
  headers: {},
  answers: Object.fromEntries([
    runpodAnswer(400, "Bad Request", "bad request: body: must be JSON", "The body is not valid or too large"),
    runpodAnswer(401, "Unauthorized", "unauthorized", "The key may not call this endpoint"),
    runpodAnswer(404, "Not Found", "job not found", "The endpoint or the job does not exist"),
    runpodAnswer(
      429,
      "Too Many Requests",
      "too many run requests",
      "The endpoint's limit for this operation is reached",
    ),
  ]),
};

/** One example of a media type. */
type Examples = Record<string, { value: unknown; summary?: string }>;

/** Content of a JSON body. @param examples by name */
export function json(schema: z.ZodMiniType, examples: Record<string, unknown>) {
  return { "application/json": { schema, examples: toExamples(examples) } };
}

/** Converts each value to the format of OpenAPI's examples. */
export function toExamples(values: Record<string, unknown>): Examples {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { value }]));
}

/** Creates the response with status 200. The response documents `cache-control` and the front's headers. */
export function ok(
  front: Front,
  content: NonNullable<ZodOpenApiResponseObject["content"]>,
  description = "Success",
  headers: Headers = {},
): ZodOpenApiResponsesObject {
  const own = front.name === "RunPod" ? {} : noStore;
  return { "200": { description, headers: { ...front.headers, ...own, ...headers }, content } };
}

/** Error responses of one operation. */
interface ErrorOptions {
  /** Schema of the handler's errors. Default: the contract's error. */
  error?: z.ZodMiniType;
  /** Headers of all answers of the handler. */
  headers?: Headers;
}

/**
 * Creates the error responses, one per HTTP status. They contain the handler's errors and the errors of the service in
 * front of the handler. The description lists the codes, and says when the service in front answers. Each code has an
 * example.
 */
export function errors(
  front: Front,
  codes: readonly ErrorCode[],
  { error = WorkerFailure, headers = {} }: ErrorOptions = {},
): ZodOpenApiResponsesObject {
  const statuses = new Set([
    ...codes.map((code) => errorCodes[code].status),
    ...Object.keys(front.answers).map(Number),
  ]);
  const responses = [...statuses]
    .toSorted((a, b) => a - b)
    .map((status): [string, ZodOpenApiResponseObject] => {
      const ours = codes.filter((code) => errorCodes[code].status === status);
      const theirs = front.answers[status];
      if (ours.length === 0 && theirs) return [String(status), frontResponse(front, status, theirs)];
      const lines = [...ours.map((code) => `\`${code}\``), ...(theirs ? [`${front.name}: ${theirs.when}`] : [])];
      return [
        String(status),
        {
          description: lines.join(". "),
          headers: {
            ...front.headers,
            ...noStore,
            ...headers,
            ...(mayRetry(ours) && retryAfter),
            ...theirs?.headers,
          },
          content: json(theirs ? z.union([error, front.error]) : error, {
            ...Object.fromEntries(ours.map((code) => [code, new ApiError(code).body])),
            ...(theirs && { [front.id]: theirs.example }),
          }),
        },
      ];
    });
  return Object.fromEntries(responses);
}

/**
 * Responses that only a service in front of the handler gives. The document defines each response once, in its
 * components.
 */
const frontResponses = new Map<FrontAnswer, ZodOpenApiResponseObject>();

function frontResponse(front: Front, status: number, answer: FrontAnswer): ZodOpenApiResponseObject {
  const { when, example, headers } = answer;
  const response = frontResponses.get(answer) ?? {
    id: `${front.id}${status}`,
    description: `${front.name}: ${when}`,
    headers: { ...front.headers, ...headers },
    content: json(typeof example === "string" ? z.string() : front.error, { [front.id]: example }),
  };
  frontResponses.set(answer, response);
  return response;
}

/** Whether the handler sends `Retry-After` with one of these codes. */
function mayRetry(codes: readonly ErrorCode[]): boolean {
  const retried: readonly ErrorCode[] = ["rate_limited", "overloaded", "unavailable"];
  return codes.some((code) => retried.includes(code));
}
