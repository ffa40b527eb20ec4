import {
  type Provider,
  type ProviderChat,
  type ProviderEnd,
  type ProviderEvent,
  ProviderFailure,
  type TokenUsage,
} from "../../core/relay/provider";
import { isContentFilter, toProviderFailure } from "./errors";
import { thinkingTokens } from "./modelTraits";

/** The part of a reply that one event of a vendor's stream contains. */
export interface ReplyPart {
  text?: string | null | undefined;
  /** `context_window`: the model's context was full before the reply ended. */
  finishReason?: ProviderEnd["finishReason"] | "context_window" | undefined;
  /** Token counts so far. They replace the same counts of earlier events. */
  usage?: Partial<TokenUsage> | undefined;
  /** Model that the vendor reports. */
  version?: string | undefined;
}

/** One vendor's API, through its SDK. */
export interface Vendor<Event> extends Pick<Provider, "name" | "model"> {
  /** Configured reasoning effort. */
  effort: string | undefined;
  /** Sends the request, without retries, and returns the events of the response. */
  open(chat: ProviderChat, signal: AbortSignal): Promise<AsyncIterable<Event>>;
  read(event: Event): ReplyPart;
}

/** Time after the finish reason in which the usage and the end of the response may arrive. */
const LINGER_MS = 1_000;

/** Creates a provider from a vendor's API. */
export function createProvider<Event>(vendor: Vendor<Event>): Provider {
  const { name, model, effort } = vendor;
  return {
    name,
    model,
    thinkingTokens: thinkingTokens(model, effort),
    stream: (chat, signal) => streamReply(vendor, chat, signal),
  };
}

async function* streamReply<Event>(
  vendor: Vendor<Event>,
  chat: ProviderChat,
  signal: AbortSignal,
): AsyncGenerator<ProviderEvent> {
  signal.throwIfAborted();
  if (!vendor.model) throw new ProviderFailure("misconfigured", `${vendor.name}: no model is configured`);
  const request = new AbortController();
  const reply = new Reply();
  let events: AsyncIterator<Event> | undefined;
  let linger: NodeJS.Timeout | undefined;
  try {
    events = (await vendor.open(chat, AbortSignal.any([signal, request.signal])))[Symbol.asyncIterator]();
    for (let next = await events.next(); !next.done; next = await events.next()) {
      const part = vendor.read(next.value);
      const text = reply.add(part);
      if (text) yield { text };
      if (!reply.isFinished) continue;
      if (part.usage) break;
      linger ??= setTimeout(() => request.abort(), LINGER_MS);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (isContentFilter(error)) reply.add({ finishReason: "filter" });
    // After the finish reason the reply is complete, even without usage.
    if (!reply.isFinished) throw toProviderFailure(vendor.name, error, events !== undefined);
  } finally {
    clearTimeout(linger);
    if (events && reply.isFinished) drain(events, request);
    else request.abort();
  }
  signal.throwIfAborted();
  yield { end: reply.end(vendor.name) };
}

/** Reads the rest of a response for a short time, so that the connection can serve the next request. */
function drain(events: AsyncIterator<unknown>, request: AbortController): void {
  const limit = setTimeout(() => request.abort(), LINGER_MS);
  const read = async () => {
    while (!(await events.next()).done);
  };
  // The reply is already complete, so an error in the rest of the response does not matter.
  read()
    .catch(() => undefined)
    .finally(() => clearTimeout(limit));
}

/** Collects the parts of one reply. */
class Reply {
  private hasText = false;
  private finishReason: ReplyPart["finishReason"];
  private usage: Partial<TokenUsage> = {};
  private version: string | undefined;

  get isFinished(): boolean {
    return this.finishReason !== undefined;
  }

  /** Adds a part and returns its text. Text after the finish reason does not belong to the reply. */
  add({ text, finishReason, usage, version }: ReplyPart): string {
    const shown = this.isFinished ? "" : (text ?? "");
    this.hasText ||= shown !== "";
    this.finishReason ??= finishReason;
    this.usage = { ...this.usage, ...usage };
    this.version = version ?? this.version;
    return shown;
  }

  /** Returns the end of the reply. Throws ProviderFailure when there was no finish reason. */
  end(provider: string): ProviderEnd {
    const { hasText, finishReason, version } = this;
    const { prompt_tokens, completion_tokens, ...cached } = this.usage;
    if (!finishReason) throw new ProviderFailure("broken", `${provider}: the stream ended without a finish reason`);
    if (finishReason === "context_window" && !hasText) {
      throw new ProviderFailure("context_too_long", `${provider}: the context was full before the reply began`);
    }
    return {
      finishReason: finishReason === "context_window" ? "length" : finishReason,
      ...(prompt_tokens !== undefined &&
        completion_tokens !== undefined && { usage: { prompt_tokens, completion_tokens, ...cached } }),
      ...(version !== undefined && { version }),
    };
  }
}
