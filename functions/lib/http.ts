import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from "aws-lambda";
import * as z from "zod/mini";
import { ApiError } from "../../contract/errors";
import { RateLimited } from "./rateLimited";

/** A request as HTTP API hands it over (payload format 2.0). */
export type Request = APIGatewayProxyEventV2;

/** A Lambda handler for HTTP API. */
export type Handler = (event: Request) => Promise<APIGatewayProxyStructuredResultV2>;

/** Answers are about one customer at one moment: nobody may keep them. */
const headers = {
  "content-type": "application/json; charset=utf-8",
  "cache-control": "private, no-store",
  "strict-transport-security": "max-age=63072000",
};

/** No route takes more. */
const MAX_BODY_BYTES = 8 * 1024;

/**
 * Turns a function from request to JSON body into a handler: 200 with what it returns, or the error of the registry.
 * Anything else that is thrown is logged and answered as `internal`, without its text.
 */
export function jsonHandler(answer: (event: Request) => Promise<object>): Handler {
  return async (event) => {
    try {
      return { statusCode: 200, headers, body: JSON.stringify(await answer(event)) };
    } catch (thrown) {
      const error = thrown instanceof ApiError ? thrown : new ApiError("internal", undefined, { cause: thrown });
      if (error.status >= 500) console.error({ route: event.routeKey, code: error.code, cause: describe(error.cause) });
      const retryAfter = error instanceof RateLimited && { "retry-after": String(error.retryAfterSeconds) };
      return { statusCode: error.status, headers: { ...headers, ...retryAfter }, body: JSON.stringify(error.body) };
    }
  };
}

/**
 * Parses a JSON body; an absent one counts as `{}`.
 *
 * @throws ApiError `invalid_input` that names the field and what is allowed
 */
export function parseBody<S extends z.ZodMiniType>(event: Request, schema: S): z.infer<S> {
  const text = event.isBase64Encoded ? Buffer.from(event.body ?? "", "base64").toString("utf8") : (event.body ?? "");
  if (Buffer.byteLength(text) > MAX_BODY_BYTES) {
    throw new ApiError("invalid_input", `body: must be at most ${MAX_BODY_BYTES} bytes`);
  }
  let body: unknown = {};
  try {
    if (text) body = JSON.parse(text);
  } catch (cause) {
    throw new ApiError("invalid_input", "body: must be JSON", { cause });
  }
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new ApiError("invalid_input", `${["body", ...(issue?.path ?? [])].join(".")}: ${explain(issue)}`);
}

/** The body of a route that takes nothing. */
export const NoBody = z.strictObject({});

/** zod/mini carries no message texts, so the few kinds that can occur are put into words here. */
function explain(issue: z.core.$ZodIssue | undefined): string {
  if (issue?.code === "unrecognized_keys") return `unknown field ${issue.keys.join(", ").slice(0, 100)}`;
  if (issue?.code === "invalid_type") return `must be ${issue.expected}`;
  if (issue?.code === "invalid_value") return `must be one of ${issue.values.map(String).join(", ")}`;
  return "is not valid";
}

/** Name and text of an internal reason, for the log only. */
function describe(cause: unknown): string {
  return cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
}
