import { ApiError } from "../../contract/errors";
import { CancelRequest, ChatId } from "../../contract/relay";
import { bearerToken } from "../lib/bearer";
import type { StreamRequest } from "../lib/streaming";
import { bodyError } from "../lib/validation";
import { type ChatInput, parseChat } from "./chatInput";

/** A request to the relay. */
export type RelayRequest =
  | { kind: "chat"; input: ChatInput; ticket: string | undefined; format: "events" | "json" }
  | { kind: "cancel"; id: string; ticket: string | undefined }
  /** A chat of the product's first web frontend, not validated yet. */
  | { kind: "legacy"; body: object };

/** Larger than any valid request, with room for escaped characters. */
const MAX_BODY_BYTES = 256 * 1024;
/** The first web frontend never shortens a conversation, so its bodies can be long. */
const MAX_LEGACY_BODY_BYTES = 1024 * 1024;

/**
 * Reads a request of the function URL.
 *
 * @throws ApiError `not_found` for an unknown path or method, `invalid_input` or `too_long` for an invalid body
 */
export function readRequest(event: StreamRequest): RelayRequest {
  const path = event.rawPath.split("/").filter(Boolean);
  const [route, id, operation] = path;
  if (event.requestContext.http.method !== "POST" || route !== "chat") throw new ApiError("not_found");
  if (path.length === 1) return readChat(event);
  if (path.length === 3 && operation === "cancel" && ChatId.safeParse(id).success) return readCancel(event, String(id));
  throw new ApiError("not_found");
}

function readChat(event: StreamRequest): RelayRequest {
  const { body, bytes } = readBody(event);
  const isLegacy = "message" in body || "conversation" in body;
  checkSize(bytes, isLegacy ? MAX_LEGACY_BODY_BYTES : MAX_BODY_BYTES);
  if (isLegacy) return { kind: "legacy", body };
  const { ticket, ...input } = parseChat(body);
  const format = header(event, "accept")?.includes("text/event-stream") ? "events" : "json";
  return { kind: "chat", input, ticket: bearerToken(header(event, "authorization")) ?? ticket, format };
}

function readCancel(event: StreamRequest, id: string): RelayRequest {
  const parsed = CancelRequest.safeParse(event.body ? readBody(event).body : {});
  if (!parsed.success) throw bodyError(parsed.error.issues);
  return { kind: "cancel", id, ticket: bearerToken(header(event, "authorization")) ?? parsed.data.ticket };
}

function readBody(event: StreamRequest): { body: object; bytes: number } {
  const type = header(event, "content-type") ?? "";
  if (!/^application\/json\s*(;|$)/i.test(type)) {
    throw new ApiError("invalid_input", "content-type: must be application/json");
  }
  const bytes = Buffer.from(event.body ?? "", event.isBase64Encoded ? "base64" : "utf8");
  checkSize(bytes.length, MAX_LEGACY_BODY_BYTES);
  const body = parseJson(bytes.toString("utf8"));
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new ApiError("invalid_input", "body: must be a JSON object");
  }
  return { body, bytes: bytes.length };
}

function checkSize(bytes: number, maxBytes: number): void {
  if (bytes > maxBytes) throw new ApiError("invalid_input", `body: must be at most ${maxBytes} bytes`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's error is dropped, because its text quotes a part of the body.
    throw new ApiError("invalid_input", "body: must be JSON");
  }
}

/** Function URLs send header names in lower case. An emulator or a proxy may send upper-case letters. */
function header(event: StreamRequest, name: string): string | undefined {
  return event.headers[name] ?? Object.entries(event.headers).find(([key]) => key.toLowerCase() === name)?.[1];
}
