import { setTimeout as sleep } from "node:timers/promises";
import { errorCodes } from "../../contract/errors";
import type { RelayItem, VipProvider } from "../../contract/relay";
import { type AttemptResult, ChatFailure, runAttempts } from "../../functions/core/relay/attempts";
import { type Cooldowns, createCooldowns } from "../../functions/core/relay/cooldown";
import { type Deadlines, deadlinesOf } from "../../functions/core/relay/deadlines";
import type { Message, Provider, ProviderChat } from "../../functions/core/relay/provider";
import { loadProvider } from "../../functions/relay/providers";
import { createWorker } from "../../functions/relay/worker";
import type { SeenReply } from "./seen";
import { ANTHROPIC_KEY } from "./wire/anthropic";
import { HUGGINGFACE_TOKEN, OPENAI_KEY } from "./wire/openai";
import { RUNPOD_KEY } from "./wire/runpod";

/** The relay under test. */
export interface RelayUnderTest {
  /** Runs one chat to its end. Never rejects: a failed chat ends with an error item. */
  chat(messages: Message[]): Promise<SeenReply>;
  close(): Promise<void>;
}

/** Options of a relay under test. */
export interface RelayOptions {
  /** Providers in order, with the base URL of the server that stands for each. */
  providers: { name: VipProvider | "runpod"; url: string }[];
  /** Divides the deadlines, the waits and the cooldowns. */
  scale: number;
}

/** Settings of the providers, as in the environment of the relay's Lambda. Models of the vendors' current lines. */
const environment = {
  ANTHROPIC_MODEL: "claude-sonnet-5-5",
  ANTHROPIC_EFFORT: "low",
  OPENAI_MODEL: "gpt-6.1-terra",
  OPENAI_EFFORT: "low",
  BEDROCK_MODEL: "jp.anthropic.claude-sonnet-5-5",
  BEDROCK_REGION: "ap-northeast-1",
  HUGGINGFACE_MODEL: "openai/gpt-oss-120b",
};

/** Environment variable of each provider's URL, and the path below the server's base URL. */
const urls: Record<VipProvider, { variable: string; path: string }> = {
  anthropic: { variable: "ANTHROPIC_BASE_URL", path: "" },
  openai: { variable: "OPENAI_BASE_URL", path: "/v1" },
  bedrock: { variable: "AWS_ENDPOINT_URL_BEDROCK_RUNTIME", path: "" },
  huggingface: { variable: "HUGGINGFACE_BASE_URL", path: "/v1" },
};

const keys: Record<VipProvider, string> = {
  anthropic: ANTHROPIC_KEY,
  openai: OPENAI_KEY,
  bedrock: "",
  huggingface: HUGGINGFACE_TOKEN,
};

/**
 * Starts the relay's attempts, deadlines, cooldowns and providers, with the vendors' SDKs. The chat passes sampling
 * parameters, which some of the models reject.
 */
export async function startRelay({ providers, scale }: RelayOptions): Promise<RelayUnderTest> {
  const stop = new AbortController();
  const background: Promise<unknown>[] = [];
  const cooldowns = scaledCooldowns(scale);
  const created = await Promise.all(
    providers.map(async ({ name, url }): Promise<(messages: Message[]) => Provider> => {
      if (name === "runpod") return (messages) => createRunpod(url, messages, background);
      const provider = await createVipProvider(name, url);
      return () => provider;
    }),
  );
  return {
    async chat(messages) {
      const startedAtMs = performance.now();
      const items: RelayItem[] = [];
      const attempts = runAttempts({
        providers: created.map((create) => create(messages)),
        chat: chatOf(messages),
        deadlines: (provider) => scaled(deadlinesOf(provider), scale),
        cooldowns,
        signal: stop.signal,
        sleep: (ms, signal) => sleep(ms / scale, undefined, { signal }),
      });
      try {
        let next = await attempts.next();
        for (; !next.done; next = await attempts.next()) items.push(next.value);
        items.push(doneItem(next.value));
      } catch (error) {
        items.push(errorItem(error));
      }
      return { items, totalMs: (performance.now() - startedAtMs) * scale };
    },
    async close() {
      stop.abort();
      await Promise.allSettled(background);
    },
  };
}

async function createVipProvider(name: VipProvider, serverUrl: string): Promise<Provider> {
  const { variable, path } = urls[name];
  const url = `${serverUrl}${path}`;
  if (name === "bedrock") {
    // The AWS SDK reads the process's own environment.
    Object.assign(process.env, { [variable]: url, AWS_ACCESS_KEY_ID: "failover", AWS_SECRET_ACCESS_KEY: "failover" });
  }
  const { create } = await loadProvider(name);
  return create({ env: { ...environment, [variable]: url }, readKey: async () => keys[name] });
}

function createRunpod(url: string, messages: Message[], background: Promise<unknown>[]): Provider {
  return createWorker({
    model: "mistral",
    url,
    apiKey: async () => RUNPOD_KEY,
    input: { messages },
    waitUntil: (work) => void background.push(work),
  });
}

function chatOf(messages: Message[]): ProviderChat {
  return {
    messages,
    maxTokens: 512,
    sampling: { temperature: 0.7, top_p: 0.9, seed: 7 },
    system: { persona: "あなたはスナックのママです。", greeting: "今夜の挨拶は「こんばんは」です。" },
    userHash: "0f3a9c",
  };
}

function doneItem({ text, finishReason, usage, provider, model, version, ...rest }: AttemptResult): RelayItem {
  return {
    id: "failover-chat",
    done: true,
    text,
    finish_reason: finishReason,
    usage,
    provider,
    model: { plan: "vip", name: model, version },
    timings: { ttft_ms: rest.ttftMs, total_ms: rest.totalMs },
    attempts: rest.attempts,
    ...(rest.restarted && { restarted: true }),
  };
}

function errorItem(error: unknown): RelayItem {
  if (!(error instanceof ChatFailure)) throw error;
  const { code, text } = error;
  const { message, retryable } = errorCodes[code];
  return { error: { code, message, retryable }, text };
}

function scaled(deadlines: Deadlines, scale: number): Deadlines {
  return {
    firstTextMs: deadlines.firstTextMs / scale,
    gapMs: deadlines.gapMs / scale,
    totalMs: deadlines.totalMs / scale,
    minCharsPerSecond: deadlines.minCharsPerSecond * scale,
    speedWindowMs: deadlines.speedWindowMs / scale,
  };
}

/** Cooldowns of one container, whose clock runs faster. */
function scaledCooldowns(scale: number): Cooldowns {
  const ends = new Map<string, number>();
  const cooldowns = createCooldowns({
    read: async () => new Map(ends),
    write: async (key, endMs) => void ends.set(key, endMs),
    replace: async (key, seenMs, endMs) => ends.get(key) === seenMs && ends.set(key, endMs) !== undefined,
    remove: async (key) => void ends.delete(key),
  });
  const startMs = Date.now();
  const faster = (now: Date) => new Date(startMs + (now.getTime() - startMs) * scale);
  return {
    order: (providers, now) => cooldowns.order(providers, faster(now)),
    failed: (provider, reason, retryAfterMs, now) => cooldowns.failed(provider, reason, retryAfterMs, faster(now)),
    succeeded: (provider) => cooldowns.succeeded(provider),
  };
}
