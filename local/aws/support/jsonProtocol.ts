import { Hono } from "hono";
import { z } from "zod";
import type { CloudEvent, Events } from "../../support/events";
import { type Listening, serve } from "../../support/http";

/** An error the way AWS's JSON protocol says it: the SDK makes it an exception of this name. */
export class JsonProtocolError extends Error {
  constructor(
    readonly type: string,
    message: string,
  ) {
    super(message);
  }
}

/** An AWS service of the JSON 1.1 protocol. */
interface JsonService {
  /** For people, when the port is taken. */
  name: string;
  /** Whose events it emits. */
  source: CloudEvent["source"];
  /** What stands before the operation in `x-amz-target`, without the dot. */
  target: string;
  operations: Record<string, (body: unknown) => unknown>;
  /** What an event says of a request beside its operation; nothing of secrets. */
  summary?: (body: unknown) => string;
}

/** Serves the service on a free loopback port. */
export function serveJsonProtocol(service: JsonService, events: Events): Promise<Listening> {
  const { operations, summary = () => "" } = service;
  const app = new Hono();
  app.post("/", async (c) => {
    const operation = c.req.header("x-amz-target")?.replace(`${service.target}.`, "") ?? "";
    c.header("content-type", "application/x-amz-json-1.1");
    try {
      const run = operations[operation];
      if (run === undefined) {
        throw new JsonProtocolError("UnknownOperationException", `${operation} is not part of the local cloud.`);
      }
      const body: unknown = await c.req.json();
      events.emit({ source: service.source, summary: `${operation} ${summary(body)}`.trim() });
      return c.body(JSON.stringify(run(body)));
    } catch (error) {
      const { type, message } = described(error);
      c.header("x-amzn-errortype", type);
      return c.body(JSON.stringify({ __type: type, message }), 400);
    }
  });
  return serve(service.name, 0, app.fetch);
}

function described(error: unknown): { type: string; message: string } {
  if (error instanceof JsonProtocolError) return error;
  if (error instanceof z.ZodError) return { type: "ValidationException", message: z.prettifyError(error) };
  return { type: "SerializationException", message: "The request is not valid JSON." };
}
