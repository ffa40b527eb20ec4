import type { IncomingHttpHeaders } from "node:http";
import type * as z from "zod";
import type { JsonResponse } from "./http";

/** Request that a wire checks. `body` is the parsed JSON. It is undefined when the body is not JSON. */
export interface WireRequest {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: unknown;
}

/** Error response in a vendor's shape. */
export type WireError = JsonResponse;

/** Errors that every vendor can return. Each vendor uses a different shape. */
export type VendorError = "rate_limited" | "server_error" | "overloaded" | "context_too_long" | "filtered";

/** Facts about one reply that its events contain. */
export interface Reply {
  id: string;
  model: string;
  promptTokens: number;
  completionTokens: number;
}

/** A valid request, reduced to the facts that all wires share. */
export interface Chat {
  model: string;
  maxTokens: number;
  /** Characters of all messages, without the system prompt. */
  promptChars: number;
  stream: boolean;
}

/**
 * Wire format of one vendor's streaming chat API. An event contains the bytes of one write. A reply consists of
 * `first`, one `text` per token, `last` and `terminator`.
 */
export interface Wire {
  contentType: string;
  /** Whether the wire serves the path. */
  serves(path: string): boolean;
  /** Reads a valid request. Returns the vendor's error for an invalid request. */
  read(request: WireRequest): { chat: Chat } | { refusal: WireError };
  error(kind: VendorError): WireError;
  first(reply: Reply): Uint8Array[];
  text(reply: Reply, token: string): Uint8Array;
  /** Returns an event that breaks the format. Its text must never reach a reader. */
  malformed(reply: Reply): Uint8Array;
  /** Finish reason. Also the usage, if the vendor sends the usage before its terminator. */
  last(reply: Reply, finish: "stop" | "filter"): Uint8Array[];
  /** The vendor's own last event. */
  terminator(reply: Reply): Uint8Array;
}

/** Text inside a malformed event. */
export const GARBAGE = "GARBAGE";

/** Bytes of one server-sent event. */
export function sseEvent(data: unknown, event?: string): Uint8Array {
  const text = typeof data === "string" ? data : JSON.stringify(data);
  return Buffer.from(`${event ? `event: ${event}\n` : ""}data: ${text}\n\n`);
}

/** First problem of a body that does not match its schema, with the path in a vendor's notation (`messages.0.content`). */
export function firstIssue(error: z.ZodError): {
  kind: "missing" | "unknown" | "invalid";
  path: string;
  message: string;
} {
  const issue = error.issues[0];
  if (!issue) return { kind: "invalid", path: "", message: error.message };
  if (issue.code === "unrecognized_keys")
    return { kind: "unknown", path: [...issue.path, issue.keys[0]].join("."), message: issue.message };
  const isMissing = issue.code === "invalid_type" && issue.message.endsWith("received undefined");
  return { kind: isMissing ? "missing" : "invalid", path: issue.path.join("."), message: issue.message };
}
