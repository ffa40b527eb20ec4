import type { WorkerInput, WorkerOutput } from "../../../contract/worker";
import type { FailureCause } from "./failure";

/** One message for a model. There is no `system` role: a provider adds the persona. */
export type Message = NonNullable<WorkerInput["messages"]>[number];

/** A conversation for a model. */
export interface ProviderChat {
  /** Messages with alternating roles. The first and the last message are from the user. */
  messages: Message[];
  maxTokens: number;
  /** Sampling parameters of the request. A provider drops the parameters that its model does not accept. */
  sampling: Pick<NonNullable<WorkerInput["params"]>, "temperature" | "top_p" | "seed">;
  /**
   * System prompt of external LLMs. GPU workers add the persona themselves. `greeting` changes with the time of day and
   * the season.
   */
  system: { persona: string; greeting: string };
  /** Hash of the user's id, for a provider's abuse detection and cache routing. */
  userHash: string;
}

/** Tokens of one reply. `prompt_tokens` includes `cached_tokens`. */
export type TokenUsage = WorkerOutput["usage"];

/** End of a reply. `usage` is missing when the provider reported none. */
export interface ProviderEnd {
  finishReason: WorkerOutput["finish_reason"];
  usage?: TokenUsage;
  /** Model that the provider reports. */
  version?: string;
}

/** An event of a provider's stream: a piece of text, or the end of the reply. The end is always the last event. */
export type ProviderEvent = { text: string } | { end: ProviderEnd };

/** A model that answers chats: an external LLM, or the GPU workers of a RunPod endpoint. */
export interface Provider {
  readonly name: "runpod" | "anthropic" | "openai" | "bedrock" | "huggingface";
  /** Configured name of the model. */
  readonly model: string;
  /**
   * Whether the provider is the candidate of `model`. Its failures start no cooldown, and it never ends the cooldown of
   * the released model.
   */
  readonly isCandidate?: true;
  /** Tokens that the model may use for thinking, in addition to the reply. Default 0. */
  readonly thinkingTokens?: number;
  /**
   * Requests one reply, without retries. When the signal aborts, the request ends at the provider.
   *
   * @throws ProviderFailure. A stream that ends without the provider's final event fails with `broken`
   */
  stream(chat: ProviderChat, signal: AbortSignal): AsyncIterable<ProviderEvent>;
}

/** Failure of one request to a provider. `message` is for the log and contains neither prompt nor key. */
export class ProviderFailure extends Error {
  override readonly name = "ProviderFailure";

  /** Recognizes a failure by its name, because the bundle of each provider has a separate copy of this class. */
  static override [Symbol.hasInstance](value: unknown): value is ProviderFailure {
    return value instanceof Error && value.name === "ProviderFailure";
  }

  /** Wait that the provider requests with `Retry-After`. */
  readonly retryAfterMs: number | undefined;

  constructor(
    readonly reason: FailureCause,
    message: string,
    options: ErrorOptions & { retryAfterMs?: number | undefined } = {},
  ) {
    super(message, options);
    this.retryAfterMs = options.retryAfterMs;
  }
}
