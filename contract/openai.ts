import * as z from "zod/mini";
import { Model } from "./plan";
import { sampling, workerBounds } from "./worker";

/**
 * The supported part of OpenAI's chat completions. RunPod forwards every request for `/v2/<endpoint>/openai/v1/*` to
 * the worker. The rules for a job's `input` also apply to these requests. A field that is `null` counts as absent. The
 * worker rejects an unsupported field that would change the reply, and names it in the error. The worker ignores all
 * other unsupported fields.
 */

/** A field that the worker accepts and ignores. */
const ignored = z.optional(z.unknown());

/** Content of a message: a string, or a list of text parts. */
const Content = z.union([
  z.string().check(z.minLength(1), z.maxLength(workerBounds.textChars)),
  z
    .array(z.strictObject({ type: z.literal("text"), text: z.string() }))
    .check(z.minLength(1), z.maxLength(workerBounds.parts)),
]);

/** Body of `POST /v1/chat/completions`. There is no `system` or `developer` role: the worker adds the persona. */
export const ChatCompletionRequest = z.strictObject({
  model: Model,
  messages: z
    .array(z.strictObject({ role: z.enum(["user", "assistant"]), content: Content, name: ignored }))
    .check(z.minLength(1), z.maxLength(workerBounds.messages)),
  ...sampling,
  /** OpenAI's newer name of `max_tokens`. When both are present, `max_completion_tokens` is used. */
  max_completion_tokens: sampling.max_tokens,
  stream: z.optional(z.boolean()),
  stream_options: z.optional(
    z.strictObject({ include_usage: z.optional(z.boolean()), include_obfuscation: z.optional(z.boolean()) }),
  ),
  /** OpenAI's API has no such field. OpenAI's clients can send the ticket as an extra field of the body. */
  ticket: z.optional(z.string()),

  // Some clients send these default values explicitly. The worker rejects other values.
  n: z.optional(z.literal(1)),
  frequency_penalty: z.optional(z.literal(0)),
  presence_penalty: z.optional(z.literal(0)),
  logprobs: z.optional(z.literal(false)),
  response_format: z.optional(z.strictObject({ type: z.literal("text") })),

  user: ignored,
  metadata: ignored,
  store: ignored,
  service_tier: ignored,
  safety_identifier: ignored,
  prompt_cache_key: ignored,
});
export type ChatCompletionRequest = z.infer<typeof ChatCompletionRequest>;

const Usage = z.object({
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  total_tokens: z.int(),
  prompt_tokens_details: z.optional(z.object({ cached_tokens: z.int() })),
});

const FinishReason = z.enum(["stop", "length", "content_filter"]);

const about = {
  id: z.string(),
  created: z.int(),
  model: Model,
  /** Version of the model's weights, the same as `model.version` of a job's output. */
  system_fingerprint: z.string(),
};

/** Response to a request without streaming. */
export const ChatCompletion = z.object({
  ...about,
  object: z.literal("chat.completion"),
  choices: z
    .array(
      z.object({
        index: z.literal(0),
        message: z.object({ role: z.literal("assistant"), content: z.string(), refusal: z.null() }),
        logprobs: z.null(),
        finish_reason: FinishReason,
      }),
    )
    .check(z.length(1)),
  usage: Usage,
});
export type ChatCompletion = z.infer<typeof ChatCompletion>;

/**
 * Event of a streamed response. The stream ends with `data: [DONE]`. With `stream_options.include_usage`, the event
 * before `[DONE]` has the usage and no choice, and `usage` is `null` in all other events.
 */
export const ChatCompletionChunk = z.object({
  ...about,
  object: z.literal("chat.completion.chunk"),
  choices: z
    .array(
      z.object({
        index: z.literal(0),
        delta: z.object({ role: z.optional(z.literal("assistant")), content: z.optional(z.string()) }),
        logprobs: z.null(),
        finish_reason: z.nullable(FinishReason),
      }),
    )
    .check(z.maxLength(1)),
  usage: z.optional(z.nullable(Usage)),
});
export type ChatCompletionChunk = z.infer<typeof ChatCompletionChunk>;

/** Item of `GET /v1/models`, and response of `GET /v1/models/<model>`. */
export const ModelCard = z.object({
  id: Model,
  object: z.literal("model"),
  created: z.int(),
  owned_by: z.string(),
  /** Version of the weights. OpenAI's API has no such field. */
  version: z.string(),
});
export type ModelCard = z.infer<typeof ModelCard>;

/** Response of `GET /v1/models`: the endpoint's only model. The request needs no ticket. */
export const ModelList = z.object({ object: z.literal("list"), data: z.array(ModelCard).check(z.length(1)) });
export type ModelList = z.infer<typeof ModelList>;
