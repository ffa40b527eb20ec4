import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from "aws-lambda";
import * as z from "zod/mini";
import { ApiError, RateLimited } from "../../contract/errors";
import { causesText } from "./causes";
import { bodyError } from "./validation";

/** An HTTP API request, payload format 2.0. */
export type Request = APIGatewayProxyEventV2;

/** A Lambda handler for HTTP API. */
export type Handler = (event: Request) => Promise<APIGatewayProxyStructuredResultV2>;

/**
 * Headers of every JSON response. A response is valid for one customer at one moment, so no cache may store the
 * response.
 */
export const jsonHeaders = {
  "content-type": "application/json; charset=utf-8",
  "cache-control": "private, no-store",
  "strict-transport-security": "max-age=63072000",
};

/** Larger than any valid request body. */
const MAX_BODY_BYTES = 8 * 1024;

/**
 * Wraps a function as an HTTP handler. Its result becomes a 200 JSON body. An ApiError becomes its status and body. Any
 * other error is answered as `internal`, without its text. Each error is logged. The cause is logged only for a 5xx
 * error, because the cause of a 4xx error may repeat a customer's text.
 */
export function jsonHandler(answer: (event: Request) => Promise<object>): Handler {
  return async (event) => {
    try {
      return { statusCode: 200, headers: jsonHeaders, body: JSON.stringify(await answer(event)) };
    } catch (thrown) {
      const error = thrown instanceof ApiError ? thrown : new ApiError("internal", undefined, { cause: thrown });
      const line = { route: event.routeKey, correlation: event.requestContext.requestId, code: error.code };
      if (error.status >= 500) console.error({ ...line, cause: causesText(error.cause) });
      else console.info(line);
      const retryAfter = error instanceof RateLimited && { "retry-after": String(error.retryAfterSeconds) };
      return { statusCode: error.status, headers: { ...jsonHeaders, ...retryAfter }, body: JSON.stringify(error.body) };
    }
  };
}

/**
 * Parses a JSON body. A missing body counts as `{}`.
 *
 * @throws ApiError `invalid_input` or `too_long` that names the field and the allowed values
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
  throw bodyError(parsed.error.issues);
}

/** Body schema of a route without parameters. */
export const NoBody = z.strictObject({});
