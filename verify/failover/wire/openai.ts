import * as z from "zod";
import {
  type Chat,
  firstIssue,
  GARBAGE,
  type Reply,
  sseEvent,
  type VendorError,
  type Wire,
  type WireError,
} from "./wire";

/** Keys that the wires accept. */
export const OPENAI_KEY = "sk-local-failover";
export const HUGGINGFACE_TOKEN = "hf_local_failover";

const Content = z.union([z.string(), z.array(z.strictObject({ type: z.literal("text"), text: z.string() })).min(1)]);
const Message = z.strictObject({
  role: z.enum(["system", "developer", "user", "assistant"]),
  content: Content,
  name: z.string().optional(),
});
const common = {
  model: z.string().min(1),
  messages: z.array(Message).min(1),
  stream: z.boolean().nullish(),
  stream_options: z.strictObject({ include_usage: z.boolean().optional() }).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  seed: z.int().nullish(),
  stop: z.union([z.string(), z.array(z.string())]).nullish(),
  max_tokens: z.int().min(1).nullish(),
};

/** Fields of Chat Completions that a chat can use (source: openai 7.57, `ChatCompletionCreateParamsBase`). */
const OpenAiBody = z.strictObject({
  ...common,
  max_completion_tokens: z.int().min(1).nullish(),
  reasoning_effort: z.enum(["none", "minimal", "low", "medium", "high", "xhigh", "max"]).nullish(),
  verbosity: z.enum(["low", "medium", "high"]).nullish(),
  prompt_cache_key: z.string().max(64).optional(),
  prompt_cache_retention: z.string().nullish(),
  safety_identifier: z.string().max(64).optional(),
  service_tier: z.string().nullish(),
  store: z.boolean().nullish(),
  metadata: z.record(z.string(), z.string()).nullish(),
  n: z.literal(1).nullish(),
  user: z.string().optional(),
});

/** Fields that all backends of HuggingFace's router accept. Groq, for example, rejects all other fields. */
const RouterBody = z.strictObject(common);
type Body = z.infer<typeof OpenAiBody>;

/**
 * OpenAI's Chat Completions with server-sent events, like reasoning models. These models reject `max_tokens`. They
 * accept sampling parameters only with the reasoning effort `none` (source of the texts: decolua/9router#560,
 * QwenLM/qwen-code#921).
 */
export const openai: Wire = chatCompletions({
  key: OPENAI_KEY,
  schema: OpenAiBody,
  findProblem: (body) => {
    if (body.max_tokens != null)
      return {
        message:
          "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        param: "max_tokens",
        code: "unsupported_parameter",
      };
    const field = (["temperature", "top_p"] as const).find((name) => body[name] != null && body[name] !== 1);
    if (!field || body.reasoning_effort === "none") return undefined;
    return {
      message: `Unsupported value: '${field}' does not support ${body[field]} with this model. Only the default (1) value is supported.`,
      param: field,
      code: "unsupported_value",
    };
  },
  unknownField: (path) => ({ message: `Unknown parameter: '${path}'.`, param: path, code: "unknown_parameter" }),
  unauthorized: failure(401, "Incorrect API key provided.", { code: "invalid_api_key" }),
});

/**
 * HuggingFace's router: OpenAI's Chat Completions in front of many backends. The router checks the token itself, and
 * its error is a single string. The wire rejects every field that at least one backend rejects.
 */
export const huggingface: Wire = chatCompletions({
  key: HUGGINGFACE_TOKEN,
  schema: RouterBody,
  findProblem: ({ messages }) =>
    messages.some(({ role }) => role === "developer")
      ? {
          message: "'messages.0.role': one of 'system', 'user', 'assistant', 'tool' expected",
          param: "messages",
          code: null,
        }
      : undefined,
  unknownField: (path) => ({ message: `property '${path}' is unsupported`, param: path, code: null }),
  unauthorized: { status: 401, body: { error: "Invalid username or password." } },
});

interface Problem {
  message: string;
  param: string;
  code: string | null;
}

interface Vendor {
  key: string;
  schema: z.ZodType<Body>;
  findProblem(body: Body): Problem | undefined;
  unknownField(path: string): Problem;
  unauthorized: WireError;
}

function chatCompletions(vendor: Vendor): Wire {
  return {
    contentType: "text/event-stream; charset=utf-8",
    serves: (path) => path === "/v1/chat/completions",
    read: ({ headers, body }) => {
      if (headers.authorization !== `Bearer ${vendor.key}`) return { refusal: vendor.unauthorized };
      const parsed = vendor.schema.safeParse(body);
      if (!parsed.success) return { refusal: invalid(describe(parsed.error, vendor)) };
      const problem = vendor.findProblem(parsed.data) ?? prefillOf(parsed.data);
      return problem ? { refusal: invalid(problem) } : { chat: toChat(parsed.data) };
    },
    error: (kind) => errors[kind],
    first: (reply) => [chunk(reply, { role: "assistant", content: "", refusal: null })],
    text: (reply, content) => chunk(reply, { content }),
    malformed: (reply) => sseEvent(`{"id":"${reply.id}","choices":[{"index":0,"delta":{"content":"${GARBAGE}`),
    last: (reply, finish) => [
      chunk(reply, {}, finish === "stop" ? "stop" : "content_filter"),
      sseEvent({ ...head(reply), choices: [], usage: usage(reply) }),
    ],
    terminator: () => sseEvent("[DONE]"),
  };
}

/** Source: OpenAI's page on error codes. OpenAI answers a context that is too long with status 400 and a code. */
const errors: Record<VendorError, WireError> = {
  rate_limited: failure(429, "Rate limit reached for requests per min (RPM).", {
    type: "requests",
    code: "rate_limit_exceeded",
  }),
  server_error: failure(500, "The server had an error while processing your request. Sorry about that!", {
    type: "server_error",
  }),
  overloaded: failure(503, "The engine is currently overloaded, please try again later.", { type: "server_error" }),
  context_too_long: failure(
    400,
    "This model's maximum context length is 128000 tokens. However, your messages resulted in 131072 tokens.",
    { param: "messages", code: "context_length_exceeded" },
  ),
  filtered: failure(400, "Your request was rejected as a result of our safety system.", {
    code: "content_policy_violation",
  }),
};

/** Rejects a prefill. OpenAI would continue a prefill, but the fallback of scenario S14 must reject it. */
function prefillOf({ messages }: Body): Problem | undefined {
  if (messages.at(-1)?.role === "user") return undefined;
  return { message: "The last message must have the role 'user'.", param: "messages", code: "invalid_value" };
}

function toChat(body: Body): Chat {
  const texts = body.messages
    .filter(({ role }) => role === "user" || role === "assistant")
    .flatMap(({ content }) => (typeof content === "string" ? content : content.map(({ text }) => text)));
  return {
    model: body.model,
    maxTokens: body.max_completion_tokens ?? body.max_tokens ?? 4_096,
    promptChars: texts.join("").length,
    stream: body.stream === true,
  };
}

function describe(error: z.ZodError, vendor: Vendor): Problem {
  const { kind, path, message } = firstIssue(error);
  if (kind === "unknown") return vendor.unknownField(path);
  if (kind === "missing")
    return { message: `Missing required parameter: '${path}'.`, param: path, code: "missing_required_parameter" };
  return { message: `Invalid value for '${path}': ${message}`, param: path, code: "invalid_value" };
}

function head({ id, model }: Reply) {
  return { id, object: "chat.completion.chunk", created: 1_795_000_000, model, system_fingerprint: null };
}

function chunk(reply: Reply, delta: object, finish: string | null = null): Uint8Array {
  return sseEvent({
    ...head(reply),
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
    usage: null,
  });
}

function usage({ promptTokens, completionTokens }: Reply) {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: Math.floor(promptTokens / 2) },
  };
}

function invalid({ message, param, code }: Problem): WireError {
  return failure(400, message, { param, code });
}

function failure(
  status: number,
  message: string,
  rest: { type?: string; param?: string | null; code?: string | null } = {},
): WireError {
  return { status, body: { error: { message, type: "invalid_request_error", param: null, code: null, ...rest } } };
}
