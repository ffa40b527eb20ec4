/**
 * JSON types that a frontend reads and sends. A copy of the schemas in `contract/`, because this package has no
 * dependencies. The tests compare the types with the schemas. Responses may gain fields: ignore the fields you do not
 * know.
 */

/** A customer's plan, lowest first. */
export type Plan = "free" | "paid" | "vip";

/** Limits of one session. */
export interface Limits {
  /** Maximum number of tokens in one reply. */
  max_tokens: number;
  /** Maximum number of messages in one request. */
  max_messages: number;
  /** Maximum number of characters in one message. */
  max_input_chars: number;
}

/** Response of `POST /auth/session` and `POST /auth/guest`: plan, chat endpoint and ticket. */
export interface Session {
  /** Cognito `sub`, or `guest:<uuid>`. */
  user_id: string;
  plan: Plan;
  /** Name of the model. Later versions may add models. */
  model: string;
  inference: {
    /**
     * `relay`: chats go to the relay. `runpod`: chats go to a RunPod endpoint. Sessions of earlier versions have no kind
     * and mean `runpod`.
     */
    kind?: "relay" | "runpod" | undefined;
    /** Base URL of the relay or of the endpoint's job API. */
    url: string;
    /** Value of the `Authorization` header. */
    authorization: string;
  };
  ticket: string;
  /** ISO 8601 in UTC, about two minutes after the session was created. */
  ticket_expires_at: string;
  limits: Limits;
}

/** Response of `GET /billing/plan` and `POST /billing/sync`. Times are ISO 8601 in UTC. */
export interface PlanInfo {
  user_id: string;
  plan: Plan;
  /** Stripe's status of the subscription, or `null` without a subscription. */
  stripe_status: string | null;
  expires_at: string | null;
  updated_at: string | null;
  /** Reason why the customer has this plan. Later versions may add reasons. */
  reason: string;
  /** The plan ends at this time unless the overdue renewal is paid. */
  grace_until?: string | undefined;
  /** The customer has cancelled, and the plan ends at this time. */
  cancel_at?: string | undefined;
  limits: Limits;
  /** Use of the relay. Only in `GET /billing/plan`, and missing when the usage cannot be read. */
  usage?: Usage | undefined;
}

/** A customer's use of the relay. Times are ISO 8601 in UTC. */
export interface Usage {
  minute: { chats: number; limit: number; resets_at: string };
  day: { tokens: number; limit: number; resets_at: string };
}

/** A plan that can be bought. */
export type PaidPlan = "paid" | "vip";

/** Response of `POST /billing/checkout` and `POST /billing/portal`: the Stripe page to open. */
export interface Redirect {
  url: string;
}

/** One message of a conversation. There is no `system` role: the worker adds the persona. */
export interface ChatMessage {
  role: "user" | "assistant";
  content: string;
}

/** Input of one chat: `text` for one message, or `messages` for a conversation that ends with the user's message. */
export type ChatInput = ({ text: string } | { messages: ChatMessage[] }) & {
  params?:
    | {
        max_tokens?: number | undefined;
        temperature?: number | undefined;
        top_p?: number | undefined;
        seed?: number | undefined;
      }
    | undefined;
  /** When `false`, the reply arrives as one item, without deltas. */
  stream?: boolean | undefined;
  /** Up to 128 characters. Identifies the job in the worker's log. */
  request_id?: string | undefined;
};

/** The next piece of a reply's text. */
export interface ChatDelta {
  delta: string;
}

/** No text yet: the model is starting. Only the relay sends this item. */
export interface ChatWaiting {
  waiting: true;
  /** Mama's request to wait, in Japanese. */
  message: string;
}

/**
 * The model failed, and another model answers from the beginning. Discard the deltas so far. Only the relay sends this
 * item.
 */
export interface ChatRestart {
  restart: true;
}

/**
 * The last item of a reply. Its `text` is the complete reply. Show this text instead of the joined deltas, because a
 * delta can get lost.
 */
export interface ChatDone {
  done: true;
  text: string;
  finish_reason: "stop" | "length" | "filter";
  usage: { prompt_tokens: number; completion_tokens: number; cached_tokens?: number | undefined };
  /** `name` is the configured model, `version` the version that the worker or the provider reports. */
  model: { plan: Plan; name: string; version: string };
  timings: { ttft_ms: number; total_ms: number };
  /** Id of the chat. Only the relay sends this field and the following fields. */
  id?: string | undefined;
  /** `runpod`, or the name of the external LLM that answered. Later versions may add providers. */
  provider?: string | undefined;
  /** Number of calls to models for this reply, including failed calls. */
  attempts?: number | undefined;
  /** Whether the reply replaced the beginning of another model's reply. */
  restarted?: boolean | undefined;
}

/**
 * An item that `chat` yields. The last item has `done`. Later versions may add items: ignore the items you do not know.
 */
export type ChatItem = ChatDelta | ChatWaiting | ChatRestart | ChatDone;
