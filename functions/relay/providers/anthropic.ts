import Anthropic from "@anthropic-ai/sdk";
import type { Provider, ProviderChat, TokenUsage } from "../../core/relay/provider";
import type { ProviderSource } from ".";
import { clientByKey } from "./clientByKey";
import { createProvider, type ReplyPart } from "./createProvider";
import { acceptedSampling, thinkingTokens } from "./modelTraits";
import { fetchValidEvents } from "./sse";

type Request = Anthropic.MessageCreateParamsStreaming;
type Event = Anthropic.RawMessageStreamEvent;

/**
 * Claude through Anthropic's Messages API. Environment: `ANTHROPIC_MODEL`, `ANTHROPIC_EFFORT` (`none` turns thinking
 * off) and `ANTHROPIC_BASE_URL`.
 */
export function create(source: ProviderSource): Provider {
  const { ANTHROPIC_MODEL: model = "", ANTHROPIC_EFFORT: effort, ANTHROPIC_BASE_URL } = source.env;
  const baseURL = ANTHROPIC_BASE_URL || "https://api.anthropic.com";
  const limits = { maxRetries: 0, logLevel: "off", openTelemetry: false, fetch: fetchValidEvents } as const;
  const client = clientByKey("anthropic", source, (apiKey) => {
    return new Anthropic({ ...limits, baseURL, apiKey, authToken: null });
  });
  return createProvider<Event>({
    name: "anthropic",
    model,
    effort,
    open: async (chat, signal) => (await client()).messages.create(requestOf(model, effort, chat), { signal }),
    read,
  });
}

function requestOf(model: string, effort: string | undefined, chat: ProviderChat): Request {
  const { temperature } = acceptedSampling(model, effort, chat.sampling);
  return {
    model,
    max_tokens: chat.maxTokens + thinkingTokens(model, effort),
    messages: chat.messages,
    system: systemOf(chat),
    metadata: { user_id: chat.userHash },
    stream: true,
    ...(effort === "none" && { thinking: { type: "disabled" } }),
    ...(effort && effort !== "none" && { output_config: { effort: effort as "low" } }),
    // Claude accepts no temperature above 1.
    ...(temperature !== undefined && { temperature: Math.min(1, temperature) }),
  };
}

/** The greeting changes with the time, so the cached part of the prompt ends before the greeting. */
function systemOf({ system: { persona, greeting } }: ProviderChat): Anthropic.TextBlockParam[] {
  const blocks: Anthropic.TextBlockParam[] = [
    { type: "text", text: persona, cache_control: { type: "ephemeral" } },
    { type: "text", text: greeting },
  ];
  return blocks.filter(({ text }) => text !== "");
}

/** Reads an event. Deltas of thinking blocks have other types, so they are ignored. */
function read(event: Event): ReplyPart {
  switch (event.type) {
    case "message_start":
      return { version: event.message.model, usage: usageOf(event.message.usage) };
    case "content_block_delta":
      return event.delta.type === "text_delta" ? { text: event.delta.text } : {};
    case "message_delta":
      return { finishReason: finishReasonOf(event.delta.stop_reason), usage: usageOf(event.usage) };
    default:
      return {};
  }
}

function finishReasonOf(reason: Anthropic.StopReason | null): ReplyPart["finishReason"] {
  if (!reason) return undefined;
  if (reason === "refusal") return "filter";
  if (reason === "model_context_window_exceeded") return "context_window";
  return reason === "max_tokens" ? "length" : "stop";
}

/**
 * Converts token counts. `input_tokens` includes no cached tokens. The stream's final event may contain only the tokens
 * of the reply.
 */
function usageOf(usage: Anthropic.MessageDeltaUsage | Anthropic.Usage | undefined): Partial<TokenUsage> {
  if (!usage) return {};
  const { input_tokens: input, cache_read_input_tokens: cached, cache_creation_input_tokens: created } = usage;
  return {
    completion_tokens: usage.output_tokens,
    ...(typeof input === "number" && { prompt_tokens: input + (cached ?? 0) + (created ?? 0) }),
    ...(typeof cached === "number" && { cached_tokens: cached }),
  };
}
