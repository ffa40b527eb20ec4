import { ApiError, RateLimited } from "../../../contract/errors";
import { type Model, type Plan, planModels } from "../../../contract/plan";
import { planLimits } from "../../../functions/core/planLimits";
import { type Cooldowns, createCooldowns } from "../../../functions/core/relay/cooldown";
import type { Provider, ProviderChat, ProviderEvent } from "../../../functions/core/relay/provider";
import { cancel, isCancelled, readUsage, reserve, settle, type UsageState } from "../../../functions/core/relay/usage";
import { createTicketReader, signTicket } from "../../../functions/core/ticket";
import type { RelayServices } from "../../../functions/relay/handler";
import type { UsageTable } from "../../../functions/tables/usage";
import { createTicketKeys } from "../ticketKeys";

export const issuer = "snack-misaki/test";

/** Signs tickets and reads them. */
export async function createTickets() {
  const { key, jwks } = await createTicketKeys();
  return {
    key,
    jwks,
    readTicket: createTicketReader({ jwks, issuer }),
    /** A ticket of a plan. `ageMs` makes it older. */
    async sign(
      plan: Plan,
      { sub = "user-1", aud = planModels[plan], ageMs = 0, household }: Partial<TicketOptions> = {},
    ) {
      const grant = { iss: issuer, sub, aud, plan, limits: planLimits[plan], ...(household && { household }) };
      return (await signTicket(grant, key, new Date(Date.now() - ageMs))).ticket;
    },
  };
}

interface TicketOptions {
  sub: string;
  aud: Model;
  household: string;
  ageMs: number;
}

/** The usage table's rules in memory. `settled` lists the tokens of every settlement. */
class MemoryUsage implements UsageTable {
  readonly settled: number[] = [];
  private readonly states = new Map<string, UsageState>();

  async reserve({ account, ...chat }: Parameters<UsageTable["reserve"]>[0], now: Date) {
    const { next, refusal } = reserve(this.states.get(account), { ...chat, request: crypto.randomUUID() }, now);
    if (refusal?.code === "conflict") throw new ApiError("conflict");
    if (refusal) throw new RateLimited(refusal.retryAfterSeconds);
    if (next) this.states.set(account, next);
  }

  async settle({ account, ...chat }: Parameters<UsageTable["settle"]>[0], now: Date) {
    this.settled.push(chat.tokens);
    const next = settle(this.states.get(account), chat, now);
    if (next) this.states.set(account, next);
  }

  async cancel({ account, ...chat }: Parameters<UsageTable["cancel"]>[0], now: Date) {
    const { found, next } = cancel(this.states.get(account), chat, now);
    if (next) this.states.set(account, next);
    if (!found) throw new ApiError("not_found", "There is no running chat with this id.");
  }

  async isCancelled({ account, chatId }: Parameters<UsageTable["isCancelled"]>[0]) {
    return isCancelled(this.states.get(account), chatId);
  }

  async read(account: string, limits: Parameters<UsageTable["read"]>[1], now: Date) {
    return readUsage(this.states.get(account), limits, now);
  }
}

/** Step of a script: a text, a pause in milliseconds, an error, or the end. */
export type Step = string | number | Error | "end";

/** A provider that follows a script. It records its requests, and whether a request was stopped. */
export class ScriptedProvider implements Provider {
  readonly model = "scripted-1";
  readonly chats: ProviderChat[] = [];
  stoppedAt: number | undefined;
  /** Script of each call; the last one is repeated. */
  scripts: Step[][] = [["こん", "ばんは", "end"]];

  constructor(readonly name: Provider["name"] = "anthropic") {}

  async *stream(chat: ProviderChat, signal: AbortSignal): AsyncGenerator<ProviderEvent, void, void> {
    const script = this.scripts[Math.min(this.chats.length, this.scripts.length - 1)] ?? [];
    this.chats.push(chat);
    signal.addEventListener("abort", () => {
      this.stoppedAt ??= performance.now();
    });
    for (const step of script) {
      if (step instanceof Error) throw step;
      if (typeof step === "number") await wait(step, signal);
      else if (step !== "end") yield { text: step };
      else yield { end: { finishReason: "stop", usage: { prompt_tokens: 100, completion_tokens: 10 }, version: "v1" } };
    }
  }
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

const emptyStore = {
  read: async () => new Map(),
  write: async () => {},
  replace: async () => true,
  remove: async () => {},
};

/** Cooldowns that no other container shares. */
function memoryCooldowns(): Cooldowns {
  return createCooldowns(emptyStore);
}

/** Services of a relay without AWS. `changes` replaces some of them. */
export async function createServices(provider: Provider, changes: Partial<RelayServices> = {}) {
  const tickets = await createTickets();
  const usage = new MemoryUsage();
  const alarms: string[] = [];
  const spend = { reserved: 0, settled: [] as number[], isOver: false };
  const limit = { chatsPerMinute: 1_000, tokensPerDay: 10_000_000 };
  const services: RelayServices = {
    ticketIssuer: issuer,
    readTicket: tickets.readTicket,
    signingKey: async () => tickets.key,
    usage,
    spend: {
      reserve: async (microUsd) => {
        if (spend.isOver) return false;
        spend.reserved += microUsd;
        return true;
      },
      settle: async ({ reserved, costs }) => void spend.settled.push(costs - reserved),
    },
    cooldowns: memoryCooldowns(),
    limits: { free: limit, paid: limit, vip: limit },
    endpoints: {},
    candidate: async () => undefined,
    replyCounts: { add: async () => {} },
    workerKey: async () => "account-key",
    vipProviders: () => ["anthropic"],
    createProvider: async () => provider,
    prices: { anthropic: { input: 2, cachedInput: 0.2, output: 10 } },
    dailyUsd: 5,
    alarm: (alarm, detail) => void alarms.push([alarm, ...Object.values(detail ?? {})].join(" ")),
    ...changes,
  };
  return { services, tickets, usage, spend, alarms };
}
