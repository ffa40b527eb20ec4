import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Writable } from "node:stream";
import { text } from "node:stream/consumers";
import type { Context } from "aws-lambda";
import { afterEach, expect } from "vitest";
import { openApi } from "../../../contract/openapi/document";
import type { StreamAnswer, StreamHandler, StreamRequest } from "../../../functions/lib/streaming";
import { createAnswerCheck } from "../../../verify/openapi/answers";
import { watchAnswer } from "../../../verify/openapi/watchAnswers";

const checkAnswer = createAnswerCheck(openApi({ strict: true }));

/** Differences between the hosts' answers and the OpenAPI document, collected since the previous test. */
const undocumented: string[] = [];

afterEach(() => {
  expect(undocumented.splice(0), "answers that contract/openapi.json does not document").toEqual([]);
});

/** Status and headers that a handler sets before the first write. */
interface Metadata {
  statusCode: number;
  headers: Record<string, string>;
}

/**
 * Response stream of one invocation. Like Lambda's stream, it does not tell the handler that the client has
 * disconnected.
 */
class ResponseStream extends Writable {
  metadata: Metadata | undefined;

  constructor(private readonly response: ServerResponse) {
    super({ highWaterMark: 16 * 1024, decodeStrings: false });
  }

  override _write(chunk: string | Buffer, _encoding: string, done: () => void): void {
    const { response, metadata = { statusCode: 200, headers: {} } } = this;
    const settle = () => {
      response.off("drain", settle).off("close", settle);
      done();
    };
    if (!response.headersSent) response.writeHead(metadata.statusCode, metadata.headers);
    if (response.destroyed || response.write(chunk)) settle();
    else response.on("drain", settle).on("close", settle);
  }

  override _final(done: () => void): void {
    this.response.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.writableFinished) this.response.destroy();
    done(error);
  }
}

Object.assign(globalThis, {
  awslambda: {
    streamifyResponse: (handler: StreamHandler) => handler,
    HttpResponseStream: {
      from: (stream: ResponseStream, metadata: Metadata) => Object.assign(stream, { metadata }),
    },
  },
});

/** A running host. */
export interface Host {
  url: string;
  /** Number of invocations that have not returned. */
  running(): number;
  /** Waits until every invocation has returned. */
  idle(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Serves a streaming handler over HTTP, like a function URL. Its events have payload format 2.0, with base64 for bodies
 * that are not text. A handler that throws breaks the connection.
 *
 * @param timeoutMs timeout of the function. Default 5 minutes
 */
export async function startHost(handler: StreamAnswer, timeoutMs = 300_000): Promise<Host> {
  const invocations = new Set<Promise<void>>();
  const server = createServer((request, response) => {
    const invocation = invoke(request, response).catch(() => void response.destroy());
    invocations.add(invocation);
    invocation.finally(() => invocations.delete(invocation));
  });
  const invoke = async (request: IncomingMessage, response: ServerResponse) => {
    const event = await eventOf(request);
    const { method } = event.requestContext.http;
    // The relay ignores empty parts of a path.
    const path = event.rawPath.replaceAll(/\/+/g, "/");
    watchAnswer(response, { server: "relay", method, path }, (seen) => {
      undocumented.push(...checkAnswer(seen).map(({ text }) => text));
    });
    const deadline = Date.now() + timeoutMs;
    const context = { getRemainingTimeInMillis: () => deadline - Date.now() } as Context;
    await handler(event, new ResponseStream(response), context);
  };
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const idle = async () => {
    while (invocations.size > 0) await Promise.all(invocations);
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    running: () => invocations.size,
    idle,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await idle();
    },
  };
}

async function eventOf(request: IncomingMessage): Promise<StreamRequest> {
  const { method = "GET", url = "/" } = request;
  const [rawPath = "/", rawQueryString = ""] = url.split("?");
  const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
  const body = await text(request);
  const isBase64Encoded = !/^(text\/|application\/json)/.test(headers["content-type"] ?? "");
  const sourceIp = headers["x-test-address"] ?? "203.0.113.7";
  return {
    version: "2.0",
    rawPath,
    rawQueryString,
    headers,
    requestContext: { http: { method, path: rawPath, sourceIp } },
    isBase64Encoded,
    ...(body && { body: isBase64Encoded ? Buffer.from(body).toString("base64") : body }),
  } as StreamRequest;
}
