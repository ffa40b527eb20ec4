import type { JSONWebKeySet, JWK } from "jose";
import type { Model, Plan } from "../contract/plan";
import type { VipProvider } from "../contract/relay";
import { createCooldowns } from "./core/relay/cooldown";
import { type Provider, ProviderFailure } from "./core/relay/provider";
import { parseVipProviders } from "./core/relay/route";
import type { Prices } from "./core/relay/spend";
import type { UsageLimits } from "./core/relay/usage";
import { createTicketReader } from "./core/ticket";
import { createAlarms, type RaiseAlarm } from "./lib/alarms";
import { type CandidateSettings, createCandidates } from "./lib/candidates";
import { createParameters, RECHECK_MS } from "./lib/parameters";
import { type StreamHandler, streamHandler } from "./lib/streaming";
import type { ChatServices } from "./relay/chat";
import { createRelay } from "./relay/handler";
import { loadProvider } from "./relay/providers";
import { createCooldownStore } from "./tables/cooldowns";
import { createReplyCounts } from "./tables/replyCounts";
import { createSpendTable } from "./tables/spend";
import { createUsageTable } from "./tables/usage";

/** Settings of the relay: names and URLs, never a secret. */
export interface Settings extends CandidateSettings {
  ticketIssuer: string;
  /** Public keys of the tickets: the JSON text of a JWKS. */
  ticketJwks: string;
  /** SSM parameter with the private JWK that signs the tickets of RunPod jobs. */
  signingKeyParameter: string;
  /** Base URLs of the job APIs of the models. */
  endpoints: Partial<Record<Model, string>>;
  /** SSM parameter with the RunPod account's API key. */
  runpodKeyParameter: string;
  ephemeralTable: string;
  /** SSM parameters with the API keys of the external LLMs. */
  keyParameters: Partial<Record<VipProvider, string>>;
  usdPerMillionTokens: Partial<Record<VipProvider, Prices>>;
  /** The stack's daily spend ceiling for external LLMs, in US dollars. */
  dailyUsd: number;
  limits: Record<Plan, UsageLimits>;
}

/**
 * The relay's function URL: `POST /chat` and `POST /chat/<id>/cancel`.
 *
 * @param pace replaces the deadlines of the providers, for tests that cannot wait so long
 */
export function create(settings: Settings, pace?: ChatServices["pace"]): StreamHandler {
  const parameter = createParameters();
  const alarm = createAlarms();
  return streamHandler(
    createRelay({
      ticketIssuer: settings.ticketIssuer,
      readTicket: createTicketReader({
        jwks: JSON.parse(settings.ticketJwks) as JSONWebKeySet,
        issuer: settings.ticketIssuer,
      }),
      signingKey: async () => JSON.parse(await parameter(settings.signingKeyParameter)) as JWK,
      usage: createUsageTable(settings.ephemeralTable),
      spend: createSpendTable(settings.ephemeralTable),
      cooldowns: createCooldowns(createCooldownStore(settings.ephemeralTable)),
      limits: settings.limits,
      endpoints: settings.endpoints,
      candidate: createCandidates(settings),
      replyCounts: createReplyCounts(settings.ephemeralTable),
      workerKey: (options) => parameter(settings.runpodKeyParameter, options?.fresh ? RECHECK_MS : undefined),
      vipProviders: () => vipProviders(alarm),
      createProvider: createProviders(async (name, isRejected) => {
        const keyParameter = settings.keyParameters[name];
        if (!keyParameter) throw new Error(`No API key is configured for ${name}`);
        return parameter(keyParameter, isRejected ? RECHECK_MS : undefined);
      }),
      prices: settings.usdPerMillionTokens,
      dailyUsd: settings.dailyUsd,
      alarm,
      ...(pace && { pace }),
    }),
  );
}

/** Reads `VIP_PROVIDERS`. An operator may change it in the console, so a wrong name only raises an alarm. */
function vipProviders(alarm: RaiseAlarm): VipProvider[] {
  const { providers, unknown } = parseVipProviders(process.env.VIP_PROVIDERS);
  if (unknown.length > 0) alarm("unknown_vip_provider", { names: unknown.join(",").slice(0, 100) });
  return providers;
}

/**
 * Loads each provider once per container.
 *
 * @param readKey reads a key; `isRejected` is true when the vendor has rejected the last key, which may just have been
 * replaced
 */
function createProviders(
  readKey: (name: VipProvider, isRejected: boolean) => Promise<string>,
): (name: VipProvider) => Promise<Provider> {
  const providers = new Map<VipProvider, Promise<Provider>>();
  const load = async (name: VipProvider): Promise<Provider> => {
    const { create } = await loadProvider(name);
    let isRejected = false;
    const provider = create({ env: process.env, readKey: () => readKey(name, isRejected) });
    return {
      ...provider,
      async *stream(chat, signal) {
        try {
          yield* provider.stream(chat, signal);
          isRejected = false;
        } catch (error) {
          isRejected = error instanceof ProviderFailure && error.reason === "auth_or_quota";
          throw error;
        }
      },
    };
  };
  return (name) => {
    const provider = providers.get(name) ?? load(name);
    providers.set(name, provider);
    return provider;
  };
}
