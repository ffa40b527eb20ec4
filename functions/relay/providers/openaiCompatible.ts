import { OpenAI } from "openai/client";
import type { Provider, ProviderChat, TokenUsage } from "../../core/relay/provider";
import type { ProviderSource } from ".";
import { clientByKey } from "./clientByKey";
import { createProvider, type ReplyPart } from "./createProvider";
import { acceptedSampling } from "./modelTraits";
import { fetchValidEvents } from "./sse";

type Request = OpenAI.ChatCompletionCreateParamsStreaming;
type Chunk = OpenAI.ChatCompletionChunk;

/** A vendor of OpenAI's Chat Completions API. */
export interface CompatibleVendor extends Pick<Provider, "name" | "model"> {
  baseURL: string;
  /** `none` turns thinking off. Undefined sends no effort. */
  effort: string | undefined;
  source: ProviderSource;
  /** Parameters that only this vendor accepts. */
  parameters(chat: ProviderChat): Partial<Request>;
}

/** Creates a provider that uses the Chat Completions API. */
export function createCompatible({ name, model, baseURL, effort, source, parameters }: CompatibleVendor): Provider {
  const limits = { maxRetries: 0, logLevel: "off", fetch: fetchValidEvents } as const;
  const client = clientByKey(name, source, (apiKey) => {
    return new OpenAI({ ...limits, baseURL, apiKey, organization: null, project: null });
  });
  const requestOf = (chat: ProviderChat): Request => ({
    model,
    messages: [{ role: "system", content: systemOf(chat) }, ...chat.messages],
    stream: true,
    stream_options: { include_usage: true },
    ...(effort && { reasoning_effort: effort as "low" }),
    ...acceptedSampling(model, effort, chat.sampling),
    ...parameters(chat),
  });
  return createProvider<Chunk>({
    name,
    model,
    effort,
    open: async (chat, signal) => (await client()).chat.completions.create(requestOf(chat), { signal }),
    read,
  });
}

/**
 * The persona comes first, so that the vendor's prompt cache finds it. Some chat templates accept only one system
 * message.
 */
function systemOf({ system: { persona, greeting } }: ProviderChat): string {
  return [persona, greeting].filter(Boolean).join("\n\n");
}

/** Reads a chunk. It can be any JSON value: compatible servers differ. */
function read(chunk: Partial<Chunk> | null): ReplyPart {
  const [choice] = chunk?.choices ?? [];
  return {
    text: choice?.delta?.content,
    finishReason: choice?.delta?.refusal ? "filter" : finishReasonOf(choice?.finish_reason),
    usage: usageOf(chunk?.usage),
    version: chunk?.model || undefined,
  };
}

/** Converts a finish reason. Compatible servers have their own words for `stop`. */
function finishReasonOf(reason: string | null | undefined): ReplyPart["finishReason"] {
  if (!reason) return undefined;
  if (reason === "content_filter") return "filter";
  return reason === "length" ? "length" : "stop";
}

function usageOf(usage: OpenAI.CompletionUsage | null | undefined): Partial<TokenUsage> | undefined {
  if (!usage) return undefined;
  const { prompt_tokens, completion_tokens, prompt_tokens_details } = usage;
  const cached_tokens = prompt_tokens_details?.cached_tokens;
  return { prompt_tokens, completion_tokens, ...(typeof cached_tokens === "number" && { cached_tokens }) };
}
