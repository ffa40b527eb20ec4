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
 * Sets the status and the headers of a streamed response. Lambda sends them with the first write. Later changes have no
 * effect. A body must have at least one byte: Lambda keeps the connection open after an empty body
 * (aws-lambda-nodejs-runtime-interface-client#95).
 */
export function startResponse(response: Writable, statusCode: number, headers: Record<string, string>): Writable {
  const stream = awslambda.HttpResponseStream.from(response, { statusCode, headers });
  // A write fails after Lambda has closed the response. The error is ignored, because the chat then ends as usual. Do
  // not chain the return value of `on`: it is Lambda's inner stream, which sends neither status nor headers.
  stream.on("error", () => {});
  return stream;
}
