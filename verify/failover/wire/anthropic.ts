import * as z from "zod";
import {
  type Chat,
  firstIssue,
  GARBAGE,
  type Reply,
  sseEvent,
  type Wire,
  type WireError,
  type WireRequest,
} from "./wire";

/** API key that the wire accepts. */
export const ANTHROPIC_KEY = "sk-ant-local-failover";

const cacheControl = z.strictObject({ type: z.literal("ephemeral"), ttl: z.enum(["5m", "1h"]).optional() });
const TextBlock = z.strictObject({
  type: z.literal("text"),
  text: z.string().min(1),
  cache_control: cacheControl.nullish(),
});
const Content = z.union([z.string().min(1), z.array(TextBlock).min(1)]);

/** Fields of Messages that a chat without tools can use (source: @anthropic-ai/sdk 1.14, `MessageCreateParamsBase`). */
const Body = z.strictObject({
  model: z.string().min(1),
  max_tokens: z.int().min(1),
  messages: z.array(z.strictObject({ role: z.enum(["user", "assistant"]), content: Content })).min(1),
  system: z.union([z.string(), z.array(TextBlock)]).optional(),
  stream: z.boolean().optional(),
  thinking: z
    .discriminatedUnion("type", [
      z.strictObject({ type: z.literal("adaptive"), display: z.string().optional() }),
      z.strictObject({ type: z.literal("disabled") }),
    ])
    .optional(),
  output_config: z.strictObject({ effort: z.enum(["low", "medium", "high", "xhigh", "max"]).nullish() }).optional(),
  metadata: z.strictObject({ user_id: z.string().max(512).nullish() }).optional(),
  cache_control: cacheControl.nullish(),
  stop_sequences: z.array(z.string()).optional(),
  service_tier: z.enum(["auto", "standard_only"]).optional(),
  temperature: z.number().min(0).max(1).optional(),
  top_p: z.number().min(0).max(1).optional(),
  top_k: z.int().min(0).optional(),
});
type Body = z.infer<typeof Body>;

/** Anthropic allows four cache marks in a request (source: Anthropic's page on prompt caching). */
const MAX_CACHE_MARKS = 4;

/** Versions of the API (source: @anthropic-ai/sdk 1.0 and its changelog). */
const VERSIONS = ["2023-06-01", "2026-10-21"];

/**
 * Anthropic's Messages API with server-sent events, like Claude 4.7 and later models. These models reject sampling
 * parameters ("`temperature` is deprecated for this model.": The-PR-Agent/pr-agent#2456). They reject an assistant
 * prefill (Arize-ai/phoenix#15392). Their first content block is not text.
 */
export const anthropic: Wire = {
  contentType: "text/event-stream; charset=utf-8",
  serves: (path) => path === "/v1/messages",
  read,
  error: (kind) => errors[kind],
  first: (reply) => [
    sse({
      type: "message_start",
      message: {
        id: reply.id,
        type: "message",
        role: "assistant",
        model: reply.model,
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: usage(reply, 1),
      },
    }),
    sse({ type: "content_block_start", index: 0, content_block: { type: "thinking", thinking: "", signature: "" } }),
    sse({ type: "ping" }),
    sse({ type: "content_block_delta", index: 0, delta: { type: "signature_delta", signature: "c2lnbmF0dXJl" } }),
    sse({ type: "content_block_stop", index: 0 }),
    sse({ type: "content_block_start", index: 1, content_block: { type: "text", text: "" } }),
  ],
  text: (_reply, text) => sse({ type: "content_block_delta", index: 1, delta: { type: "text_delta", text } }),
  malformed: () =>
    sseEvent(`{"type":"content_block_delta","index":1,"delta":{"text":"${GARBAGE}`, "content_block_delta"),
  last: (reply, finish) => [
    sse({ type: "content_block_stop", index: 1 }),
    sse({
      type: "message_delta",
      delta: {
        stop_reason: finish === "stop" ? "end_turn" : "refusal",
        stop_sequence: null,
        stop_details: null,
        container: null,
      },
      usage: usage(reply, reply.completionTokens),
    }),
  ],
  terminator: () => sse({ type: "message_stop" }),
};

/** Source of types and texts: Anthropic's page on errors, and `error` types of @anthropic-ai/sdk 1.14 (`shared.ts`). */
const errors: Record<Parameters<Wire["error"]>[0], WireError> = {
  rate_limited: failure(429, "rate_limit_error", "This request would exceed your organization's rate limit."),
  server_error: failure(500, "api_error", "Internal server error"),
  // Anthropic's status of an overloaded service is 529, not 503.
  overloaded: failure(529, "overloaded_error", "Overloaded"),
  context_too_long: failure(400, "invalid_request_error", "prompt is too long: 214335 tokens > 200000 maximum"),
  filtered: failure(400, "invalid_request_error", "Output blocked by content filtering policy"),
};

function read(request: WireRequest): { chat: Chat } | { refusal: WireError } {
  const refusal = refuseHeaders(request);
  if (refusal) return { refusal };
  const parsed = Body.safeParse(request.body);
  if (!parsed.success) return { refusal: invalid(describe(parsed.error)) };
  const problem = findProblem(parsed.data);
  if (problem) return { refusal: invalid(problem) };
  const { model, max_tokens, messages, stream = false } = parsed.data;
  return { chat: { model, maxTokens: max_tokens, promptChars: textOf(messages).length, stream } };
}

/** SDK 1.0 and later versions send the key as a bearer token. `x-api-key` still works. */
function refuseHeaders({ headers }: WireRequest): WireError | undefined {
  const key = headers["x-api-key"] ?? headers.authorization?.replace(/^Bearer /, "");
  if (key === undefined) return failure(401, "authentication_error", "x-api-key header is required");
  if (key !== ANTHROPIC_KEY) return failure(401, "authentication_error", "invalid x-api-key");
  const version = String(headers["anthropic-version"] ?? "");
  if (!version) return invalid("anthropic-version: header is required");
  return VERSIONS.includes(version) ? undefined : invalid(`anthropic-version: "${version}" is not a valid version`);
}

function findProblem({ messages, system, ...body }: Body): string | undefined {
  for (const field of ["temperature", "top_p", "top_k"] as const)
    if (body[field] !== undefined) return `\`${field}\` is deprecated for this model.`;
  if (messages[0]?.role !== "user") return 'messages: first message must use the "user" role';
  if (messages.at(-1)?.role !== "user")
    return "This model does not support assistant message prefill. The conversation must end with a user message.";
  const contents = [system, ...messages.map(({ content }) => content)];
  const blocks = contents.flatMap((content) => (Array.isArray(content) ? content : []));
  const marks = blocks.filter(({ cache_control }) => cache_control).length;
  if (marks > MAX_CACHE_MARKS)
    return `A maximum of ${MAX_CACHE_MARKS} blocks with cache_control may be provided. Found ${marks}.`;
  return undefined;
}

function describe(error: z.ZodError): string {
  const { kind, path, message } = firstIssue(error);
  if (kind === "missing") return `${path}: Field required`;
  if (kind === "unknown") return `${path}: Extra inputs are not permitted`;
  return `${path}: ${message}`;
}

function textOf(messages: Body["messages"]): string {
  return messages
    .flatMap(({ content }) => (typeof content === "string" ? content : content.map(({ text }) => text)))
    .join("");
}

/** `input_tokens` does not include the tokens of the prompt cache (source: @anthropic-ai/sdk, `Usage`). */
function usage({ promptTokens }: Reply, output: number) {
  const cached = Math.floor(promptTokens / 2);
  return {
    input_tokens: promptTokens - cached,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cached,
    output_tokens: output,
  };
}

function sse<E extends { type: string }>(event: E): Uint8Array {
  return sseEvent(event, event.type);
}

function invalid(message: string): WireError {
  return failure(400, "invalid_request_error", message);
}

function failure(status: number, type: string, message: string): WireError {
  return { status, body: { type: "error", error: { type, message }, request_id: "req_011CFailover" } };
}
