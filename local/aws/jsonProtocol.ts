import { Hono } from "hono";
import { z } from "zod";
import type { CloudEvent, Events } from "../support/events";
import { type Listening, serve } from "../support/http";
import { isObject } from "../support/protocol/value";
import { denial } from "./iam/callers";
import type { Access } from "./iam/policy";
import type { AwsAccount } from "./support/account";

/** An error response of AWS's JSON protocol. The SDK throws it as an exception named `type`. */
export class JsonProtocolError extends Error {
  constructor(
    readonly type: string,
    message: string,
  ) {
    super(message);
  }
}

interface JsonService {
  /** Display name for errors. */
  name: string;
  source: CloudEvent["source"];
  /** Prefix of the operation in the header `x-amz-target`, without the dot. */
  target: string;
  operations: Record<string, (body: unknown, authorization: string) => unknown>;
  /** Returns additional text for the event that a request emits. The text must not contain secrets. */
  summary?: (body: unknown) => string;
  /** Account whose roles may call the service. */
  account: AwsAccount;
  /** Returns the permissions that a role needs for a request. */
  accesses: (operation: string, body: Record<string, unknown>) => Access[];
}

/** Serves the service on a free loopback port. */
export function serveJsonProtocol(service: JsonService, events: Events): Promise<Listening> {
  return serve(service.name, 0, jsonProtocolApp(service, events).fetch);
}

/** Answers the service's requests: `POST /`. */
export function jsonProtocolApp(service: Omit<JsonService, "name">, events: Events): Hono {
  const { operations, summary = () => "", account, accesses } = service;
  const app = new Hono();
  app.post("/", async (c) => {
    const operation = c.req.header("x-amz-target")?.replace(`${service.target}.`, "") ?? "";
    c.header("content-type", "application/x-amz-json-1.1");
    try {
      const run = operations[operation];
      if (run === undefined) {
        throw new JsonProtocolError("UnknownOperationException", `The local cloud does not support ${operation}.`);
      }
      const body: unknown = await c.req.json();
      const needed = () => accesses(operation, isObject(body) ? body : {});
      const authorization = c.req.header("authorization") ?? "";
      const reason = denial(account, authorization, needed);
      if (reason !== undefined) throw new JsonProtocolError("AccessDeniedException", reason);
      events.emit({ source: service.source, summary: `${operation} ${summary(body)}`.trim() });
      return c.body(JSON.stringify(run(body, authorization)));
    } catch (error) {
      const { type, message } = errorOf(error);
      c.header("x-amzn-errortype", type);
      return c.body(JSON.stringify({ __type: type, message }), 400);
    }
  });
  return app;
}

function errorOf(error: unknown): { type: string; message: string } {
  if (error instanceof JsonProtocolError) return error;
  if (error instanceof z.ZodError) return { type: "ValidationException", message: z.prettifyError(error) };
  return { type: "SerializationException", message: "The request is not valid JSON." };
}
