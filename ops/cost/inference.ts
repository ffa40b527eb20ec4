import { counted } from "../../cli/counted";
import { type Model, models, Plan, planModels } from "../../contract/plan";
import type { VipProvider } from "../../contract/relay";
import type { PlainConfig } from "../../infra/configSchema";
import { candidateInferenceSettings, inferenceSettings } from "../../infra/inferenceSettings";
import { GPU_POOLS, type GpuPool } from "../../runpod/gpuPools";
import { type ByCase, byCase, type Line } from "./estimate";
import { assumptions, DAYS, SECONDS, type Traffic } from "./traffic";

/** US dollars per second of one worker, by GPU pool. */
export type GpuPrices = Partial<Record<GpuPool, number>>;

type InferenceConfig = PlainConfig & { stack: string };

/**
 * Lines of RunPod's bill, one for each model and candidate.
 *
 * @throws Error that names a GPU pool without a price
 */
export function gpuLines(config: InferenceConfig, traffic: Traffic, prices: GpuPrices): Line[] {
  return models.flatMap((model) =>
    versionsOf(model, config, traffic).map(({ name, endpoint, use }) => {
      const price = priceRange(model, endpoint.gpuIds, prices);
      const seconds = workerSeconds(endpoint, use);
      const hours = (seconds.expected / 3_600).toFixed(1);
      return {
        group: "RunPod",
        item: `workers of ${name}`,
        basis: `${endpoint.workersMin} to ${endpoint.workersMax} workers, ${poolsOf(endpoint.gpuIds).join(" or ")}, ${hours} h`,
        usd: byCase((of) => seconds[of] * price[of]),
      };
    }),
  );
}

/** The released version of a model, or its candidate. */
interface Version {
  /** Key of its block in the configuration. */
  name: string;
  endpoint: Workers & { gpuIds: string[] };
  /** Chats and visits that the version answers. The testers of a candidate do not count. */
  use: Use;
}

function versionsOf(model: Model, config: InferenceConfig, traffic: Traffic): Version[] {
  const { endpoint } = inferenceSettings(model, config);
  const { chats, visits } = useOf(model, config, traffic);
  const candidate = candidateInferenceSettings(model, config);
  const share = (config[model].candidate?.share ?? 0) / 100;
  const part = (of: number): Use => ({ chats: chats * of, visits: visits * of });
  const released = { name: model, endpoint, use: part(1 - share) };
  if (!candidate) return [released];
  return [released, { name: `${model}.candidate`, endpoint: candidate.endpoint, use: part(share) }];
}

/** Chats and visits in a month. */
interface Use {
  chats: number;
  visits: number;
}

/** Chats that a model answers. External LLMs answer the vip plan up to `vip.dailyUsd`. */
function useOf(model: Model, { vip }: PlainConfig, traffic: Traffic): Use {
  const use = { chats: 0, visits: 0 };
  for (const plan of Plan.options.filter((each) => planModels[each] === model)) {
    const share = plan === "vip" ? 1 - llmShare(vip, traffic) : 1;
    use.chats += share * traffic.chats[plan];
    use.visits += share * traffic.visits[plan];
  }
  return use;
}

/** Share of the vip plan's chats for which `vip.dailyUsd` suffices at the first provider. */
function llmShare(vip: PlainConfig["vip"], { chats }: Traffic): number {
  const [first] = vip.providers;
  if (!first) return 0;
  const usd = chats.vip * chatUsd(first, vip);
  return usd > 0 ? Math.min(1, (vip.dailyUsd * DAYS) / usd) : 1;
}

/**
 * Lists the models and candidates whose workers cannot answer all chats, even if the workers are always busy. The
 * estimate of such a model stops at `workersMax`.
 */
export function workerShortages(config: InferenceConfig, traffic: Traffic): string[] {
  const versions = models.flatMap((model) => versionsOf(model, config, traffic));
  return versions.flatMap(({ name, endpoint: { workersMax }, use }) => {
    const hours = (use.chats * assumptions.secondsPerReply) / 3_600;
    const most = (workersMax * SECONDS) / 3_600;
    if (hours <= most) return [];
    const [needed, given] = [hours, most].map((each) => Math.round(each).toLocaleString("en"));
    return [
      `${name}.workersMax is ${workersMax}, which is at most ${given} hours a month. The replies need about ${needed} ` +
        "hours, so customers wait, and the estimate is too low. Raise it.",
    ];
  });
}

interface Workers {
  workersMin: number;
  workersMax: number;
  idleTimeoutSeconds: number;
}

/** Interval of the keep-alive jobs, each of which starts a worker. */
const KEEP_ALIVE_DAYS = 2;

/**
 * Billed time of a model's workers.
 *
 * Low: all visits of a day share one worker, so that no worker waits for a customer who types. Expected: each visit
 * starts one worker, which waits between two messages; with a short idle timeout it stops and starts again. Worst: all
 * workers are always busy.
 */
function workerSeconds(
  { workersMin, workersMax, idleTimeoutSeconds: idle }: Workers,
  { chats, visits }: Use,
): ByCase<number> {
  const { secondsBetweenChats: pause, secondsPerReply: reply, secondsPerStart: start } = assumptions;
  const most = workersMax * SECONDS;
  const staysAwake = idle >= pause;
  const alone = staysAwake ? visits * (start + idle) + chats * (reply + pause) : chats * (start + reply + idle);
  const shared = chats > 0 ? chats * reply + DAYS * (start + idle) : 0;
  const keepAlive = (DAYS / KEEP_ALIVE_DAYS) * (start + idle);
  const billed = (use: number) => Math.min(most, Math.max(use + keepAlive, workersMin * SECONDS));
  return { low: billed(Math.min(shared, alone)), expected: billed(alone), worst: most };
}

/** Ids of pools in a `gpuIds` list, without the excluded GPU types. */
function poolsOf(gpuIds: readonly string[]): GpuPool[] {
  return GPU_POOLS.filter((pool) => gpuIds.includes(pool)).toSorted(
    (one, other) => gpuIds.indexOf(one) - gpuIds.indexOf(other),
  );
}

/** Prices of the cheapest pool, of the first pool, which RunPod prefers, and of the dearest pool. */
function priceRange(model: Model, gpuIds: readonly string[], prices: GpuPrices): ByCase<number> {
  const pools = poolsOf(gpuIds);
  const each = pools.map((pool) => {
    const price = prices[pool];
    if (price !== undefined) return price;
    throw new Error(
      `No price is known for the GPU pool ${pool} (${model}.gpuIds). Set RUNPOD_API_KEY to read RunPod's live catalogue, or ` +
        "add the price with its source to ops/cost/prices/runpod.ts.",
    );
  });
  return { low: Math.min(...each), expected: each[0] ?? 0, worst: Math.max(...each) };
}

/**
 * The line of the external LLMs. Empty when `vip.providers` is empty. `vip.dailyUsd` limits every case: the paid model
 * answers the other chats, and `gpuLines` counts them.
 */
export function llmLines({ vip }: PlainConfig, { chats }: Traffic): Line[] {
  const [first, ...others] = vip.providers;
  if (!first) return [];
  const most = vip.dailyUsd * DAYS;
  const each = [first, ...others].map((provider) => Math.min(most, chats.vip * chatUsd(provider, vip)));
  return [
    {
      group: "External LLMs",
      item: "chats of vip",
      basis: `${counted(chats.vip, "chat")}, first ${first} ${vip[first]?.model ?? ""}, at most $${vip.dailyUsd} a day`,
      usd: { low: Math.min(...each), expected: each[0] ?? 0, worst: most },
    },
  ];
}

/** Costs of one chat at the configured prices. */
function chatUsd(provider: VipProvider, vip: PlainConfig["vip"]): number {
  const prices = vip[provider]?.usdPerMillionTokens;
  if (!prices)
    throw new Error(`vip.${provider} is missing, but vip.providers lists ${provider}: set its model and its prices`);
  const { promptTokens, cachedShare, replyTokens } = assumptions;
  const prompt = promptTokens * ((1 - cachedShare) * prices.input + cachedShare * prices.cachedInput);
  return (prompt + replyTokens * prices.output) / 1_000_000;
}
