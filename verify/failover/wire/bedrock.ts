import { EventStreamCodec } from "@smithy/core/event-streams";
import * as z from "zod";
import {
  type Chat,
  firstIssue,
  GARBAGE,
  type Reply,
  type VendorError,
  type Wire,
  type WireError,
  type WireRequest,
} from "./wire";

const PATH = /^\/model\/([^/]+)\/converse-stream$/;
/** Prefixes of the inference profiles of AWS (source: AWS, "Supported Regions and models for inference profiles"). */
const PROFILE = /^(us|eu|apac|jp|au|global)\.|^arn:aws:bedrock:/;
const SIGNATURE =
  /^AWS4-HMAC-SHA256 Credential=[^/]+\/\d{8}\/[a-z0-9-]+\/bedrock\/aws4_request, SignedHeaders=\S+, Signature=[0-9a-f]{64}$/;

const cachePoint = z.strictObject({
  cachePoint: z.strictObject({ type: z.literal("default"), ttl: z.enum(["5m", "1h"]).optional() }),
});
const Block = z.union([z.strictObject({ text: z.string().min(1) }), cachePoint]);
/** Fields of ConverseStream that a chat without tools can use (source: `ConverseStreamRequest` of the AWS SDK). */
const Body = z.strictObject({
  messages: z.array(z.strictObject({ role: z.enum(["user", "assistant"]), content: z.array(Block).min(1) })).min(1),
  system: z.array(Block).optional(),
  inferenceConfig: z
    .strictObject({
      maxTokens: z.int().min(1).optional(),
      temperature: z.number().optional(),
      topP: z.number().optional(),
      stopSequences: z.array(z.string()).optional(),
    })
    .optional(),
  additionalModelRequestFields: z
    .strictObject({
      thinking: z.strictObject({ type: z.enum(["adaptive", "disabled"]) }).optional(),
      output_config: z.strictObject({ effort: z.enum(["low", "medium", "high", "xhigh", "max"]) }).optional(),
    })
    .optional(),
  outputConfig: z.unknown().optional(),
  requestMetadata: z.record(z.string(), z.string().max(256)).optional(),
  performanceConfig: z.strictObject({ latency: z.enum(["standard", "optimized"]) }).optional(),
});
type Body = z.infer<typeof Body>;

const codec = new EventStreamCodec(
  (bytes) => Buffer.from(bytes as Uint8Array).toString("utf8"),
  (text) => Buffer.from(text, "utf8"),
);

/**
 * ConverseStream of Amazon Bedrock with a Claude model. The response is a binary AWS event stream, and each message has
 * checksums. The last event, `metadata`, contains the usage. Errors of the model are inside a ValidationException
 * (sources: tinovyatkin/amazon-bedrock-copilot-chat#546 for sampling, anomalyco/opencode#29760 for the prefill).
 */
export const bedrock: Wire = {
  contentType: "application/vnd.amazon.eventstream",
  serves: (path) => PATH.test(path),
  read,
  error: (kind) => errors[kind],
  first: () => [event("messageStart", { role: "assistant" })],
  text: (_reply, text) => event("contentBlockDelta", { contentBlockIndex: 0, delta: { text } }),
  malformed: () => {
    const message = event("contentBlockDelta", { contentBlockIndex: 0, delta: { text: GARBAGE } });
    // Makes the checksum of the message wrong.
    message[message.length - 1] = (message.at(-1) ?? 0) ^ 0xff;
    return message;
  },
  last: (_reply, finish) => [
    event("contentBlockStop", { contentBlockIndex: 0 }),
    event("messageStop", { stopReason: finish === "stop" ? "end_turn" : "content_filtered" }),
  ],
  terminator: (reply) => event("metadata", { usage: usage(reply), metrics: { latencyMs: 1 } }),
};

/** Source of names and statuses: error classes of @aws-sdk/client-bedrock-runtime. */
const errors: Record<VendorError, WireError> = {
  rate_limited: failure(429, "ThrottlingException", "Too many requests, please wait before trying again."),
  server_error: failure(
    500,
    "InternalServerException",
    "The system encountered an unexpected error during processing.",
  ),
  overloaded: failure(503, "ServiceUnavailableException", "Bedrock is unable to process your request."),
  context_too_long: invalid("Input is too long for requested model."),
  filtered: invalid("The model returned the following errors: Output blocked by content filtering policy"),
};

function read({ path, headers, body }: WireRequest): { chat: Chat } | { refusal: WireError } {
  const refusal = refuseSignature(headers.authorization);
  if (refusal) return { refusal };
  const model = decodeURIComponent(PATH.exec(path)?.[1] ?? "");
  if (!PROFILE.test(model))
    return {
      refusal: invalid(
        `Invocation of model ID ${model} with on-demand throughput isn't supported. Retry your request with the ID or ARN of an inference profile that contains this model.`,
      ),
    };
  const parsed = Body.safeParse(body);
  if (!parsed.success) return { refusal: invalid(describe(parsed.error)) };
  const problem = findProblem(parsed.data);
  return problem ? { refusal: invalid(problem) } : { chat: toChat(model, parsed.data) };
}

function refuseSignature(authorization: string | undefined): WireError | undefined {
  if (!authorization) return failure(403, "MissingAuthenticationTokenException", "Missing Authentication Token");
  if (SIGNATURE.test(authorization)) return undefined;
  return failure(403, "IncompleteSignatureException", "The request signature does not conform to AWS standards.");
}

function findProblem({ messages, inferenceConfig = {} }: Body): string | undefined {
  if (messages[0]?.role !== "user")
    return "A conversation must start with a user message. Try again with a conversation that starts with a user message.";
  const fromModel = (message: string) => `The model returned the following errors: ${message}`;
  if (inferenceConfig.temperature !== undefined) return fromModel("`temperature` is deprecated for this model.");
  if (inferenceConfig.topP !== undefined) return fromModel("`top_p` is deprecated for this model.");
  if (messages.at(-1)?.role !== "user")
    return fromModel(
      "This model does not support assistant message prefill. The conversation must end with a user message.",
    );
  return undefined;
}

function describe(error: z.ZodError): string {
  const { kind, path, message } = firstIssue(error);
  if (kind === "unknown") return `Malformed input request: extraneous key [${path}] is not permitted`;
  return `Malformed input request: ${path}: ${message}`;
}

function toChat(model: string, { messages, inferenceConfig }: Body): Chat {
  const texts = messages.flatMap(({ content }) => content.map((block) => ("text" in block ? block.text : "")));
  return {
    model,
    maxTokens: inferenceConfig?.maxTokens ?? 4_096,
    promptChars: texts.join("").length,
    stream: true,
  };
}

/** `inputTokens` does not include the tokens of the prompt cache (source: AWS, "Prompt caching"). */
function usage({ promptTokens, completionTokens }: Reply) {
  const cached = Math.floor(promptTokens / 2);
  return {
    inputTokens: promptTokens - cached,
    outputTokens: completionTokens,
    totalTokens: promptTokens + completionTokens,
    cacheReadInputTokens: cached,
    cacheWriteInputTokens: 0,
  };
}

function event(type: string, payload: object): Uint8Array {
  const header = (value: string) => ({ type: "string" as const, value });
  return codec.encode({
    headers: {
      ":event-type": header(type),
      ":content-type": header("application/json"),
      ":message-type": header("event"),
    },
    body: Buffer.from(JSON.stringify(payload)),
  });
}

function invalid(message: string): WireError {
  return failure(400, "ValidationException", message);
}

function failure(status: number, type: string, message: string): WireError {
  const headers = { "x-amzn-errortype": `${type}:http://internal.amazon.com/coral/com.amazon.bedrock/` };
  return { status, headers, body: { message } };
}
