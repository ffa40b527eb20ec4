import type { ChatCompletion, ChatCompletionChunk, ModelCard } from "../openai";
import type { PlanResponse, RedirectResponse } from "../plan";
import type { ChatReply, LegacyChatResponse } from "../relay";
import type { SessionResponse } from "../session";
import type { StreamItem, WorkerInput } from "../worker";

/**
 * Examples of the OpenAPI document. Each example has the type of its schema. The lint compares each example with its
 * schema.
 */

const limits = { max_tokens: 512, max_messages: 40, max_input_chars: 2_000 };

/** Id of the chat in the examples. */
export const chatId = "chat-0001";

/** Id of the RunPod job in the examples. */
export const jobId = "6f1c2b0e-5d7a-4c1e-9b1f-3a2f6f8d9c10-u1";

/** Session of a customer with the plan `vip`. */
export const session = {
  user_id: "a6f0c1de-0000-4b6e-9a5e-0f6a7d1c0003",
  plan: "vip",
  model: "mistral",
  inference: { kind: "relay", url: "https://abc123.lambda-url.us-east-1.on.aws", authorization: "Bearer eyJ0eXAi…" },
  ticket: "eyJ0eXAi…",
  ticket_expires_at: "2026-11-27T12:02:00.000Z",
  limits,
} satisfies SessionResponse;

/** Session of a guest. */
export const guestSession = {
  ...session,
  user_id: "guest:0f6a7d1c-5d7a-4c1e-9b1f-3a2f6f8d9c10",
  plan: "free",
  model: "phi3",
  limits: { max_tokens: 256, max_messages: 20, max_input_chars: 1_000 },
} satisfies SessionResponse;

/** Plan of a subscriber, as `POST /billing/sync` returns it. */
export const plan = {
  user_id: session.user_id,
  plan: "paid",
  stripe_status: "active",
  expires_at: "2026-12-27T12:00:00.000Z",
  updated_at: "2026-11-27T12:00:00.000Z",
  reason: "subscription",
  limits,
} satisfies PlanResponse;

/** The same plan with the use of the relay, as `GET /billing/plan` returns it. */
export const planWithUsage = {
  ...plan,
  usage: {
    minute: { chats: 1, limit: 20, resets_at: "2026-11-27T12:01:00.000Z" },
    day: { tokens: 1_250, limit: 100_000, resets_at: "2026-11-28T00:00:00.000Z" },
  },
} satisfies PlanResponse;

/** Stripe pages to open. */
export const checkoutPage = { url: "https://checkout.stripe.com/c/pay/cs_test_a1b2c3" } satisfies RedirectResponse;
export const portalPage = { url: "https://billing.stripe.com/p/session/test_a1b2c3" } satisfies RedirectResponse;

const timings = { ttft_ms: 310, total_ms: 1_240 };
const text = "あら、いらっしゃい。";

/** Reply of the relay. */
export const chatReply = {
  id: chatId,
  text,
  finish_reason: "stop",
  usage: { prompt_tokens: 420, completion_tokens: 9 },
  provider: "anthropic",
  model: { plan: "vip", name: "claude-haiku-4-5", version: "claude-haiku-4-5-20251001" },
  timings,
  attempts: 1,
} satisfies ChatReply;

/** Reply to the first web frontend. */
export const legacyReply = { reply: text, message: text } satisfies LegacyChatResponse;

/** Input of a RunPod job. */
export const workerInput = { text: "こんばんは", ticket: session.ticket } satisfies WorkerInput;

/** Last item of a RunPod job's stream. */
export const lastItem = {
  done: true,
  text,
  finish_reason: "stop",
  usage: { prompt_tokens: 420, completion_tokens: 9, cached_tokens: 384 },
  model: { plan: "paid", name: "mistral", version: "2026-11-01" },
  timings,
} satisfies StreamItem;

const about = { id: "chatcmpl-1", created: 1_790_000_000, model: "mistral", system_fingerprint: "2026-11-01" } as const;

/** Body of `POST /v1/chat/completions`. */
export const completionRequest = {
  model: "mistral",
  messages: [{ role: "user", content: "こんばんは" }],
  ticket: session.ticket,
};

/** Response of `POST /v1/chat/completions`. */
export const completion = {
  ...about,
  object: "chat.completion",
  choices: [
    {
      index: 0,
      message: { role: "assistant", content: text, refusal: null },
      logprobs: null,
      finish_reason: "stop",
    },
  ],
  usage: { prompt_tokens: 420, completion_tokens: 9, total_tokens: 429 },
} satisfies ChatCompletion;

/** First event of a streamed response. */
export const completionChunk = {
  ...about,
  object: "chat.completion.chunk",
  choices: [{ index: 0, delta: { role: "assistant", content: "あら、" }, logprobs: null, finish_reason: null }],
} satisfies ChatCompletionChunk;

/** The model of an endpoint. */
export const modelCard = {
  id: "mistral",
  object: "model",
  created: 0,
  owned_by: "snack-misaki",
  version: "2026-11-01",
} satisfies ModelCard;
