import * as z from "zod/mini";
import { Model } from "./plan";
import { sampling, workerBounds } from "./worker";

/**
 * OpenAI's chat completions, as far as this product speaks them: what the worker gets from RunPod for
 * `/v2/<endpoint>/openai/v1/*`. The rules of our own input hold here too. A field that is `null` counts as absent; one
 * that would change the reply and is not served is refused by name, one that changes nothing is ignored.
 */

/** Accepted and not looked at. */
const ignored = z.optional(z.unknown());

/** A message's words: a string, or parts of text. */
const Content = z.union([
  z.string().check(z.minLength(1), z.maxLength(workerBounds.textChars)),
  z.array(z.strictObject({ type: z.literal("text"), text: z.string() })).check(z.minLength(1)),
]);

/** Body of `POST /v1/chat/completions`. There is no `system` and no `developer`: the worker owns the persona. */
export const ChatCompletionRequest = z.strictObject({
  model: Model,
  messages: z
    .array(z.strictObject({ role: z.enum(["user", "assistant"]), content: Content, name: ignored }))
    .check(z.minLength(1), z.maxLength(workerBounds.messages)),
  ...sampling,
  /** The newer name of `max_tokens`; it wins where both are given. */
  max_completion_tokens: sampling.max_tokens,
  stream: z.optional(z.boolean()),
  stream_options: z.optional(
    z.strictObject({ include_usage: z.optional(z.boolean()), include_obfuscation: z.optional(z.boolean()) }),
  ),
  /** Ours: an extra field of the body, as OpenAI's clients send it. */
  ticket: z.optional(z.string()),

  // Served in one way only; clients like to spell their defaults out.
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
  /** Our `model.version`. */
  system_fingerprint: z.string(),
};

/** Answer without streaming. */
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
 * An event of a streamed answer; `data: [DONE]` is the last. With `stream_options.include_usage` one more comes before
 * it, without a choice and with the usage, which is `null` in all others.
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

/** An item of `GET /v1/models`, and the answer of `GET /v1/models/<model>`. */
export const ModelCard = z.object({
  id: Model,
  object: z.literal("model"),
  created: z.int(),
  owned_by: z.string(),
  /** Ours: version of the weights. */
  version: z.string(),
});
export type ModelCard = z.infer<typeof ModelCard>;

/** Answer of `GET /v1/models`, which needs no ticket: the one model that the endpoint serves. */
export const ModelList = z.object({ object: z.literal("list"), data: z.array(ModelCard).check(z.length(1)) });
export type ModelList = z.infer<typeof ModelList>;
