import { crc32 } from "node:zlib";
import type { VipProvider } from "../../../../contract/relay";
import type { Provider, ProviderChat, ProviderEnd, ProviderEvent } from "../../../../functions/core/relay/provider";
import { loadProvider, type ProviderSource } from "../../../../functions/relay/providers";

/** Key of every provider in the tests. No failure may contain it. */
export const KEY = "sk-secret-key-of-the-tests";

/** A conversation. No failure may contain its prompt. */
export const chat: ProviderChat = {
  messages: [
    { role: "user", content: "今日は疲れたな" },
    { role: "assistant", content: "おつかれさま" },
    { role: "user", content: "秘密の話がある" },
  ],
  maxTokens: 200,
  sampling: { temperature: 1.3, top_p: 0.9, seed: 7 },
  system: { persona: "あなたはスナックのママです。", greeting: "こんばんは。" },
  userHash: "hash-of-the-user",
};

/** Events of one vendor's stream, as bytes. */
interface WireFormat {
  name: VipProvider;
  model: string;
  contentType: string;
  env(url: string): Record<string, string>;
  start: Uint8Array[];
  text(text: string): Uint8Array;
  /** The event with the finish reason. */
  finish(reason: ProviderEnd["finishReason"]): Uint8Array;
  /** Usage of 100 prompt tokens (60 read from the cache, 10 written to the cache) and 20 reply tokens. */
  usage: Uint8Array[];
  end: Uint8Array[];
  malformed: Uint8Array;
}

/** Encodes a server-sent event. */
export function sse(data: unknown, event?: string): Uint8Array {
  const json = typeof data === "string" ? data : JSON.stringify(data);
  return Buffer.from(`${event ? `event: ${event}\n` : ""}data: ${json}\n\n`);
}

/** Encodes an event of Claude's stream. */
export function claude(event: { type: string } & Record<string, unknown>): Uint8Array {
  return sse(event, event.type);
}

/** Encodes a frame of AWS's event stream. Source: smithy.io, "Amazon Event Stream Specification". */
export function frame(type: string, payload: unknown, kind: "event" | "exception" = "event"): Uint8Array {
  const body = Buffer.from(typeof payload === "string" ? payload : JSON.stringify(payload));
  const headers = Buffer.concat(
    Object.entries({ [`:${kind}-type`]: type, ":content-type": "application/json", ":message-type": kind }).flatMap(
      ([name, value]) => [
        Buffer.from([name.length]),
        Buffer.from(name),
        Buffer.from([7, 0, value.length]),
        Buffer.from(value),
      ],
    ),
  );
  const message = Buffer.alloc(16 + headers.length + body.length);
  message.writeUInt32BE(message.length, 0);
  message.writeUInt32BE(headers.length, 4);
  message.writeUInt32BE(crc32(message.subarray(0, 8)), 8);
  headers.copy(message, 12);
  body.copy(message, 12 + headers.length);
  message.writeUInt32BE(crc32(message.subarray(0, -4)), message.length - 4);
  return message;
}

const claudeCounts = { input_tokens: 30, cache_read_input_tokens: 60, cache_creation_input_tokens: 10 };
const claudeFinish = { stop: "end_turn", length: "max_tokens", filter: "refusal" };

const anthropic: WireFormat = {
  name: "anthropic",
  model: "claude-sonnet-5-5",
  contentType: "text/event-stream",
  env: (url) => ({ ANTHROPIC_MODEL: "claude-sonnet-5-5", ANTHROPIC_BASE_URL: url }),
  start: [
    claude({
      type: "message_start",
      message: { model: "claude-sonnet-5-5-dated", usage: { ...claudeCounts, output_tokens: 1 } },
    }),
    claude({ type: "ping" }),
    claude({ type: "content_block_start", index: 0, content_block: { type: "thinking", thinking: "" } }),
    claude({ type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking: "考え中" } }),
  ],
  text: (text) => claude({ type: "content_block_delta", index: 1, delta: { type: "text_delta", text } }),
  // Claude's usage is in the same event as the finish reason.
  finish: (reason) =>
    claude({ type: "message_delta", delta: { stop_reason: claudeFinish[reason] }, usage: { output_tokens: 20 } }),
  usage: [],
  end: [claude({ type: "message_stop" })],
  malformed: sse('{"type":"content_block_del', "content_block_delta"),
};

const chunk = (choice: object, more: object = {}) =>
  sse({ object: "chat.completion.chunk", model: "model-of-the-server", choices: [{ index: 0, ...choice }], ...more });
const openaiFinish = { stop: "stop", length: "length", filter: "content_filter" };

const chatCompletions = {
  contentType: "text/event-stream; charset=utf-8",
  start: [chunk({ delta: { role: "assistant", content: "" }, finish_reason: null }, { usage: null })],
  text: (content: string) => chunk({ delta: { content }, finish_reason: null }),
  finish: (reason: ProviderEnd["finishReason"]) => chunk({ delta: {}, finish_reason: openaiFinish[reason] }),
  usage: [
    sse({
      model: "model-of-the-server",
      choices: [],
      usage: { prompt_tokens: 100, completion_tokens: 20, prompt_tokens_details: { cached_tokens: 60 } },
    }),
  ],
  end: [sse("[DONE]")],
  malformed: sse('{"choices":[{"delta":{"conte'),
};

const openai: WireFormat = {
  ...chatCompletions,
  name: "openai",
  model: "gpt-6.1-terra",
  env: (url) => ({ OPENAI_MODEL: "gpt-6.1-terra", OPENAI_BASE_URL: `${url}/v1` }),
};

const huggingface: WireFormat = {
  ...chatCompletions,
  name: "huggingface",
  model: "Qwen/Qwen3-32B-Instruct",
  env: (url) => ({ HUGGINGFACE_MODEL: "Qwen/Qwen3-32B-Instruct", HUGGINGFACE_BASE_URL: `${url}/v1` }),
};

const bedrockFinish = { stop: "end_turn", length: "max_tokens", filter: "guardrail_intervened" };

const bedrock: WireFormat = {
  name: "bedrock",
  model: "jp.anthropic.claude-sonnet-5-5",
  contentType: "application/vnd.amazon.eventstream",
  env: (url) => {
    // The AWS SDK reads these variables from the process.
    Object.assign(process.env, { AWS_ACCESS_KEY_ID: "AKIATEST", AWS_SECRET_ACCESS_KEY: KEY });
    process.env.AWS_ENDPOINT_URL_BEDROCK_RUNTIME = url;
    return { BEDROCK_MODEL: "jp.anthropic.claude-sonnet-5-5", BEDROCK_REGION: "ap-northeast-1" };
  },
  start: [
    frame("messageStart", { role: "assistant" }),
    frame("contentBlockDelta", { contentBlockIndex: 0, delta: { reasoningContent: { text: "考え中" } } }),
  ],
  text: (text) => frame("contentBlockDelta", { contentBlockIndex: 1, delta: { text } }),
  finish: (reason) => frame("messageStop", { stopReason: bedrockFinish[reason] }),
  usage: [
    frame("metadata", {
      usage: {
        inputTokens: 30,
        outputTokens: 20,
        totalTokens: 120,
        cacheReadInputTokens: 60,
        cacheWriteInputTokens: 10,
      },
      metrics: { latencyMs: 5 },
    }),
  ],
  end: [],
  malformed: frame("contentBlockDelta", '{"contentBlockIndex":1,"del'),
};

/** Wire formats of all providers. */
export const wireFormats = { anthropic, openai, bedrock, huggingface };

/** Creates a provider with these environment variables and the tests' key. */
export async function createProvider(
  name: VipProvider,
  env: Record<string, string | undefined>,
  readKey: ProviderSource["readKey"] = async () => KEY,
): Promise<Provider> {
  const { create } = await loadProvider(name);
  return create({ env, readKey });
}

/** Reads a whole reply. */
export async function readAll(events: AsyncIterable<ProviderEvent>): Promise<{ texts: string[]; end?: ProviderEnd }> {
  const reply: { texts: string[]; end?: ProviderEnd } = { texts: [] };
  for await (const event of events) {
    if ("text" in event) reply.texts.push(event.text);
    else reply.end = event.end;
  }
  return reply;
}
