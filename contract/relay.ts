import * as z from "zod/mini";
import { Plan } from "./plan";
import { WorkerFailure, WorkerInput, WorkerOutput } from "./worker";

export { Usage } from "./plan";

/**
 * External LLMs that can serve the vip plan. Each value is the configuration key under which the vendor's API key is
 * stored. Bedrock needs no API key, because the relay calls it with the function's role. Each provider has a file of
 * the same name in `functions/relay/providers/`.
 */
export const vipProviderKeys = {
  anthropic: "anthropicApiKey",
  openai: "openaiApiKey",
  bedrock: undefined,
  huggingface: "huggingfaceToken",
} as const;

/** Name of an external LLM provider. */
export type VipProvider = keyof typeof vipProviderKeys;

/** Every external LLM provider. */
export const vipProviders = Object.keys(vipProviderKeys) as [VipProvider, ...VipProvider[]];

/** Schema of a provider's name. */
export const VipProvider = z.enum(vipProviders);

/** Id of a chat. The client chooses the id, so that it can cancel the chat before the first text. */
export const ChatId = z.string().check(z.regex(/^[\w-]{8,64}$/));

/**
 * Body of `POST <relay>/chat`: the input of a worker's job, with an `id`. The ticket is in the `Authorization` header
 * (`Bearer <ticket>`) or in the field `ticket`.
 */
export const ChatRequest = z.extend(WorkerInput, { id: z.optional(ChatId) });
export type ChatRequest = z.infer<typeof ChatRequest>;

/** Body of `POST <relay>/chat/<id>/cancel`. Empty when the ticket is in the `Authorization` header. */
export const CancelRequest = z.strictObject({ ticket: z.optional(z.string()) });

/** Response of `POST <relay>/chat/<id>/cancel`. */
export const CancelResponse = z.object({ id: ChatId, cancelled: z.literal(true) });
export type CancelResponse = z.infer<typeof CancelResponse>;

/** Result of a chat. `provider` is `runpod`, or the external LLM that answered. */
export const ChatReply = z.extend(z.omit(WorkerOutput, { model: true }), {
  id: ChatId,
  provider: z.enum(["runpod", ...vipProviders]),
  /** `name` is the configured model, `version` the model that the provider reports. */
  model: z.object({ plan: Plan, name: z.string(), version: z.string() }),
  /** Number of calls to models for this reply, including failed calls. */
  attempts: z.int(),
  /** Whether the reply replaced an incomplete reply of another model. */
  restarted: z.optional(z.boolean()),
});
export type ChatReply = z.infer<typeof ChatReply>;

/**
 * Error of the relay. `text` is the part of the reply that the model generated before the error. `message` and `reply`
 * contain a sentence of Mama in Japanese. Only the first web frontend gets `reply`.
 */
export const RelayFailure = z.extend(WorkerFailure, {
  text: z.optional(z.string()),
  message: z.optional(z.string()),
  reply: z.optional(z.string()),
});

/**
 * Item of the stream of `POST <relay>/chat`: the JSON data of one server-sent event. A stream always ends with an item
 * that has `done` or `error`.
 */
export const RelayItem = z.union([
  /** The next piece of text. */
  z.object({ delta: z.string() }),
  /** No text yet: the model is starting. `message` is Mama's request to wait, in Japanese. */
  z.object({ waiting: z.literal(true), message: z.string() }),
  /** The model failed. Discard the text so far: another model answers from the beginning. */
  z.object({ restart: z.literal(true) }),
  /** The complete reply. */
  z.extend(ChatReply, { done: z.literal(true) }),
  /** The chat failed. `text` is the part of the reply that was sent before the failure. */
  z.extend(WorkerFailure, { text: z.optional(z.string()) }),
]);
export type RelayItem = z.infer<typeof RelayItem>;

/**
 * Version 1 of the body that the product's first web frontend sends to `<base>/chat`. This frontend sends no ticket.
 */
export const LegacyMessage = z.strictObject({ message: z.string().check(z.minLength(1)) });

/**
 * Version 2 of the first web frontend's body. The conversation begins with Mama's greeting. The frontend never shortens
 * the conversation.
 */
export const LegacyConversation = z.object({
  conversation: z.array(z.object({ role: z.string(), content: z.string() })),
  metadata: z.optional(z.unknown()),
});

/**
 * Response to the first web frontend. Version 1 reads `reply`, and version 2 reads `message`. Both fields have the same
 * text.
 */
export const LegacyChatResponse = z.object({
  reply: z.string(),
  message: z.string(),
  /** Set when the model is still starting. The text is then Mama's request to wait. */
  waiting: z.optional(z.literal(true)),
});
export type LegacyChatResponse = z.infer<typeof LegacyChatResponse>;
