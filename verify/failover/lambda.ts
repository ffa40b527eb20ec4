import { Writable } from "node:stream";
import type { Context } from "aws-lambda";
import { createParser } from "eventsource-parser";
import type { ErrorBody } from "../../contract/errors";
import { RelayItem } from "../../contract/relay";
import type { StreamAnswer, StreamHandler, StreamRequest } from "../../functions/lib/streaming";

/** Timeout of the relay's function. */
const TIMEOUT_MS = 300_000;

/** Response of an invocation. The metadata is set before the first write. */
class ResponseStream extends Writable {
  statusCode = 200;
  body = "";

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.body += chunk.toString("utf8");
    done();
  }
}

// Replaces the global `awslambda` of Lambda's Node.js runtime.
Object.assign(globalThis, {
  awslambda: {
    streamifyResponse: (handler: StreamHandler) => handler,
    HttpResponseStream: {
      from: (stream: ResponseStream, { statusCode }: { statusCode: number }) => Object.assign(stream, { statusCode }),
    },
  },
});

/**
 * Invokes a streaming handler with `POST /chat`, like a function URL, and returns the items of the response. An error
 * before the first text is a JSON body with a status. This function returns it as an error item.
 *
 * @throws Error when an item does not follow the contract
 */
export async function postChat(handler: StreamAnswer, body: object): Promise<RelayItem[]> {
  const response = new ResponseStream();
  const deadline = Date.now() + TIMEOUT_MS;
  const context = { getRemainingTimeInMillis: () => deadline - Date.now() } as Context;
  await handler(requestOf(body), response, context);
  if (response.statusCode === 200) return readItems(response.body);
  return [RelayItem.parse(JSON.parse(response.body) as ErrorBody)];
}

function requestOf(body: object): StreamRequest {
  const path = "/chat";
  const headers = { "content-type": "application/json", accept: "text/event-stream", authorization: "Bearer ticket" };
  const http = { method: "POST", path, sourceIp: "203.0.113.7" };
  const event = { version: "2.0", rawPath: path, rawQueryString: "", headers, requestContext: { http } };
  return { ...event, isBase64Encoded: false, body: JSON.stringify(body) } as unknown as StreamRequest;
}

function readItems(text: string): RelayItem[] {
  const items: RelayItem[] = [];
  const parser = createParser({ onEvent: ({ data }) => void items.push(RelayItem.parse(JSON.parse(data))) });
  parser.feed(text);
  return items;
}
