import { generateKeyPairSync } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { JWK } from "jose";
import type { VipProvider } from "../../contract/relay";
import { planLimits } from "../../functions/core/planLimits";
import { type Cooldowns, createCooldowns } from "../../functions/core/relay/cooldown";
import { type Deadlines, deadlinesOf } from "../../functions/core/relay/deadlines";
import type { Message, Provider } from "../../functions/core/relay/provider";
import { createRelay, type RelayServices } from "../../functions/relay/handler";
import type { ProviderModule } from "../../functions/relay/providers";
import { postChat } from "./lambda";
import type { SeenReply } from "./seen";
import { ANTHROPIC_KEY } from "./wire/anthropic";
import { HUGGINGFACE_TOKEN, OPENAI_KEY } from "./wire/openai";
import { RUNPOD_KEY } from "./wire/runpod";

/** The relay under test. */
export interface RelayUnderTest {
  /** Runs one chat and waits until it and its invocation have ended. A failed chat ends with an error item. */
  chat(messages: Message[]): Promise<SeenReply>;
}

/** Options of a relay under test. */
export interface RelayOptions {
  /** Providers in their order, with the base URL of the faulty server for each. RunPod must be the only provider. */
  providers: { name: VipProvider | "runpod"; url: string }[];
  /** Divides the deadlines, the waits and the cooldowns. */
  scale: number;
}

/** Environment of the relay's Lambda, with current models of the vendors. */
const environment = {
  ANTHROPIC_MODEL: "claude-sonnet-5-5",
  ANTHROPIC_EFFORT: "low",
  OPENAI_MODEL: "gpt-6.1-terra",
  OPENAI_EFFORT: "low",
  BEDROCK_MODEL: "jp.anthropic.claude-sonnet-5-5",
  BEDROCK_REGION: "ap-northeast-1",
  HUGGINGFACE_MODEL: "openai/gpt-oss-120b",
};

/** Replaces the relay's own loader, which loads each provider from a file in the function's archive. */
const modules: Record<VipProvider, () => Promise<ProviderModule>> = {
  anthropic: () => import("../../functions/relay/providers/anthropic.js"),
  openai: () => import("../../functions/relay/providers/openai.js"),
  bedrock: () => import("../../functions/relay/providers/bedrock.js"),
  huggingface: () => import("../../functions/relay/providers/huggingface.js"),
};

/** Environment variable of each provider's URL, the path below the server's base URL, and the API key. */
const access: Record<VipProvider, { variable: string; path: string; key: string }> = {
  anthropic: { variable: "ANTHROPIC_BASE_URL", path: "", key: ANTHROPIC_KEY },
  openai: { variable: "OPENAI_BASE_URL", path: "/v1", key: OPENAI_KEY },
  bedrock: { variable: "AWS_ENDPOINT_URL_BEDROCK_RUNTIME", path: "", key: "" },
  huggingface: { variable: "HUGGINGFACE_BASE_URL", path: "/v1", key: HUGGINGFACE_TOKEN },
};

/**
 * Starts the relay's handler with its attempts, deadlines, cooldowns and providers over the vendors' SDKs. Only tickets
 * and tables are replaced. A chat passes sampling parameters, which some of the models reject.
 */
export async function startRelay(options: RelayOptions): Promise<RelayUnderTest> {
  const billed: number[] = [];
  const handler = createRelay(await createServices(options, billed));
  return {
    async chat(messages) {
      const startedAtMs = performance.now();
      const billedBefore = billed.length;
      const items = await postChat(handler, { messages, params: { temperature: 0.7, top_p: 0.9, seed: 7 } });
      const totalMs = (performance.now() - startedAtMs) * options.scale;
      return { items, totalMs, billedTokens: billed.slice(billedBefore) };
    },
  };
}

async function createServices({ providers, scale }: RelayOptions, billed: number[]): Promise<RelayServices> {
  const vip = providers.flatMap(({ name, url }) => (name === "runpod" ? [] : [{ name, url }]));
  const endpoint = providers.find(({ name }) => name === "runpod")?.url;
  const created = new Map(
    await Promise.all(vip.map(async ({ name, url }) => [name, await create(name, url)] as const)),
  );
  const limits = { chatsPerMinute: 1_000, tokensPerDay: 10_000_000 };
  return {
    ticketIssuer: "snack-misaki/failover",
    readTicket: async () => claims,
    signingKey: async () => jobKey,
    candidate: async () => undefined,
    replyCounts: { add: async () => {} },
    usage: {
      reserve: async () => {},
      settle: async ({ tokens }) => void billed.push(tokens),
      cancel: async () => {},
      isCancelled: async () => false,
      read: () => Promise.reject(new Error("This relay does not read usages")),
    },
    spend: { reserve: async () => true, settle: async () => {} },
    cooldowns: scaledCooldowns(scale),
    limits: { free: limits, paid: limits, vip: limits },
    endpoints: endpoint ? { mistral: endpoint } : {},
    workerKey: async () => RUNPOD_KEY,
    vipProviders: () => vip.map(({ name }) => name),
    createProvider: async (name) => found(created.get(name)),
    prices: {},
    dailyUsd: 1,
    alarm: () => {},
    pace: {
      deadlines: (provider) => scaled(deadlinesOf(provider), scale),
      sleep: (ms, signal) => sleep(ms / scale, undefined, { signal }),
    },
  };
}

/** Key that signs the tickets of RunPod jobs. */
const jobKey: JWK = {
  ...generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" }),
  kid: "1",
} as JWK;

/** Claims of a vip's ticket. Without a configured external LLM, the relay sends the chat to RunPod. */
const claims = {
  iss: "snack-misaki/failover",
  sub: "user-failover",
  aud: "mistral" as const,
  plan: "vip" as const,
  limits: planLimits.vip,
  iat: 0,
  exp: 0,
  jti: "failover",
};

async function create(name: VipProvider, serverUrl: string): Promise<Provider> {
  const { variable, path, key } = access[name];
  const url = `${serverUrl}${path}`;
  if (name === "bedrock") {
    // The AWS SDK reads the process's own environment.
    Object.assign(process.env, { [variable]: url, AWS_ACCESS_KEY_ID: "failover", AWS_SECRET_ACCESS_KEY: "failover" });
  }
  const module = await modules[name]();
  return module.create({ env: { ...environment, [variable]: url }, readKey: async () => key });
}

function found<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("The relay asked for a provider that is not configured");
  return value;
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
    replace: async (key, seenMs, endMs) => ends.get(key) === seenMs && ends.set(key, endMs) === ends,
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
