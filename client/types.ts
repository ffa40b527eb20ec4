/**
 * What crosses the wire, as a frontend sees it. Written out here so that the client needs no package; a test holds it
 * to the schemas in `contract/`. Answers may gain fields: read what you know and ignore the rest.
 */

/** A customer's plan, lowest first. */
export type Plan = "free" | "paid" | "vip";

/** A model with an endpoint of its own. */
export type Model = "phi3" | "mistral";

/** What one session allows. */
export interface Limits {
  /** Tokens of one reply. */
  max_tokens: number;
  /** Messages sent at once. */
  max_messages: number;
  /** Characters of one message. */
  max_input_chars: number;
}

/** Answer of `POST /auth/session` and `POST /auth/guest`: the plan, where to chat and the ticket for it. */
export interface Session {
  /** Cognito `sub`, or `guest:<uuid>`. */
  user_id: string;
  plan: Plan;
  model: Model;
  inference: {
    /** Base of the job API. */
    url: string;
    /** Value of the `Authorization` header there. */
    authorization: string;
  };
  ticket: string;
  /** ISO 8601 in UTC, about two minutes after the session was made. */
  ticket_expires_at: string;
  limits: Limits;
}

/** Answer of `GET /billing/plan` and `POST /billing/sync`. Times are ISO 8601 in UTC. */
export interface PlanInfo {
  user_id: string;
  plan: Plan;
  /** Stripe's own status of the subscription, or null without one. */
  stripe_status: string | null;
  expires_at: string | null;
  updated_at: string | null;
  /** Why the customer has this plan. An open set: more reasons may come. */
  reason: string;
  /** An unpaid renewal ends the plan then. */
  grace_until?: string | undefined;
  /** The customer has cancelled; the plan ends then. */
  cancel_at?: string | undefined;
  limits: Limits;
}

/** A plan that is sold. */
export type PaidPlan = "paid" | "vip";

/** Answer of `POST /billing/checkout` and `POST /billing/portal`: the page of Stripe to go to. */
export interface Redirect {
  url: string;
}

/** One turn of a conversation. The persona is the worker's: there is no `system`. */
export interface ChatMessage {
  role: "user" | "assistant";
  content: string;
}

/** What to ask: `text` for one line, or `messages` for a conversation that ends with the user's turn. */
export type ChatInput = ({ text: string } | { messages: ChatMessage[] }) & {
  params?: { max_tokens?: number; temperature?: number; top_p?: number; seed?: number };
  /** False asks for the whole reply at once. */
  stream?: boolean;
  /** Up to 128 characters, to find the job in the worker's log. */
  request_id?: string;
};

/** A piece of a reply. */
export interface ChatDelta {
  delta: string;
}

/** The last item of a reply: all of it. `text` is the authority; a piece may have been lost on the way. */
export interface ChatDone {
  done: true;
  text: string;
  finish_reason: "stop" | "length" | "filter";
  usage: { prompt_tokens: number; completion_tokens: number; cached_tokens?: number | undefined };
  model: { plan: "free" | "paid"; name: Model; version: string };
  timings: { ttft_ms: number; total_ms: number };
}

/** What `chat` yields: deltas, then one item with `done`. */
export type ChatItem = ChatDelta | ChatDone;

/** Every code a problem can have, from the product's registry (`contract/errors.ts`). */
export const problemCodes = [
  "invalid_input",
  "too_long",
  "unauthorized",
  "wrong_token",
  "ticket_missing",
  "ticket_invalid",
  "ticket_expired",
  "ticket_wrong_model",
  "already_subscribed",
  "nothing_bought",
  "checkout_refused",
  "signature_invalid",
  "rate_limited",
  "overloaded",
  "unavailable",
  "timeout",
  "internal",
] as const;

/** A code of the registry. */
export type ProblemCode = (typeof problemCodes)[number];
