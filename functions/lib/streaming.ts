import type { Writable } from "node:stream";
import type { Context, LambdaFunctionURLEvent, StreamifyHandler } from "aws-lambda";

/** A request of a function URL, payload format 2.0. */
export type StreamRequest = LambdaFunctionURLEvent;

/** Answers one request of a function URL by writing to `response`. Lambda ends the invocation when the promise settles. */
export type StreamAnswer = (event: StreamRequest, response: Writable, context: StreamContext) => Promise<void>;

/** The part of Lambda's context that a streaming handler uses. */
type StreamContext = Pick<Context, "getRemainingTimeInMillis">;

/** A Lambda handler that streams its response. */
export type StreamHandler = StreamifyHandler<StreamRequest, void>;

/** Marks a function as a streaming handler. The Lambda runtime provides the global `awslambda`. */
export function streamHandler(answer: StreamAnswer): StreamHandler {
  return awslambda.streamifyResponse<StreamRequest>(answer);
}

/**
 * Sets the status and the headers of a streamed response. Lambda sends them with the first write, and nothing can change
 * them afterwards. A body must have at least one byte: Lambda keeps the connection open after an empty one
 * (aws-lambda-nodejs-runtime-interface-client#95).
 */
export function startResponse(response: Writable, statusCode: number, headers: Record<string, string>): Writable {
  const stream = awslambda.HttpResponseStream.from(response, { statusCode, headers });
  // A failed write means that Lambda has given up the response. The work behind it then ends like any other. `on` returns
  // Lambda's inner stream, which would send neither status nor headers.
  stream.on("error", () => {});
  return stream;
}
