import { contradictions } from "../../infra/checkConfig";
import { type ConfigKey, configKeys } from "../../infra/configKeys";
import { ConfigSchema, type PlainConfig } from "../../infra/configSchema";
import { GPU_POOLS, type GpuPool } from "../../runpod/gpuPools";
import { type BillArgs, billOf } from "./bill";
import { type ByCase, byCase, type Case, total } from "./estimate";
import type { GpuPrices } from "./inference";

/** A change of one setting, and by how much it changes the bill. */
export interface SettingEffect {
  /** Path of the key, such as `phi3.workersMax`. */
  path: string;
  from: unknown;
  to: unknown;
  /** US dollars per month that the change adds. */
  usd: ByCase<number>;
}

/** Number of settings that the command shows for each estimate. */
const SHOWN = 3;

/**
 * Changes every setting of the configuration, one at a time, and computes the bill again: a number is halved and doubled,
 * a choice takes each other value, and a list of GPU pools takes the next cheaper and the next dearer pool. Settings that
 * add or remove resources need a new evaluation of the program and are not changed.
 *
 * @returns the three settings that move the expected and the worst total most, each with the change that moves it most
 */
export function settingsThatMatter(args: BillArgs): Record<Exclude<Case, "low">, SettingEffect[]> {
  const before = total(billOf(args));
  const effects = configKeys().flatMap((key) =>
    changesOf(key, args).map(({ from, to, config }) => {
      const after = total(billOf({ ...args, config }));
      return { path: key.path, from, to, usd: byCase((of) => after[of] - before[of]) };
    }),
  );
  return { expected: largest(effects, "expected"), worst: largest(effects, "worst") };
}

/** The largest effect of each setting, largest first. */
function largest(effects: SettingEffect[], of: Case): SettingEffect[] {
  const bySize = effects.toSorted((one, other) => Math.abs(other.usd[of]) - Math.abs(one.usd[of]));
  const moving = bySize.filter(({ usd }) => Math.abs(usd[of]) >= 0.005);
  const first = moving.filter((effect, index) => moving.findIndex(({ path }) => path === effect.path) === index);
  return first.slice(0, SHOWN);
}

interface Change {
  from: unknown;
  to: unknown;
  config: BillArgs["config"];
}

function changesOf(key: ConfigKey, { config, gpuPrices }: BillArgs): Change[] {
  const from = read(config, key.path);
  return alternatives(key, from, gpuPrices).flatMap((to) => {
    const { data } = ConfigSchema.safeParse(withValue(config, key.path, to));
    // The program refuses some values, for example workers that always run in a dev stack.
    if (!data || contradictions(data, config.stack).length > 0) return [];
    return [{ from, to, config: { ...data, stack: config.stack } }];
  });
}

function alternatives({ path, values }: ConfigKey, from: unknown, prices: GpuPrices): unknown[] {
  if (path.endsWith(".gpuIds") && Array.isArray(from)) return neighbours(from, prices).map((pool) => [pool]);
  if (values) return values.filter((value) => value !== from);
  if (typeof from === "number") {
    const changed = from === 0 ? [1] : [Number.isInteger(from) ? Math.ceil(from / 2) : from / 2, from * 2];
    return changed.filter((to) => to !== from);
  }
  return typeof from === "boolean" ? [!from] : [];
}

/** The next cheaper and the next dearer pool of a list's first pool. */
function neighbours(gpuIds: unknown[], prices: GpuPrices): GpuPool[] {
  const first = GPU_POOLS.find((pool) => pool === gpuIds[0]);
  const byPrice = GPU_POOLS.filter((pool) => prices[pool] !== undefined).toSorted(
    (one, other) => (prices[one] ?? 0) - (prices[other] ?? 0),
  );
  const at = first ? byPrice.indexOf(first) : -1;
  return at < 0 ? [] : [byPrice[at - 1], byPrice[at + 1]].filter((pool) => pool !== undefined);
}

function read(config: PlainConfig, path: string): unknown {
  return path
    .split(".")
    .reduce((value: unknown, step) => (value as Record<string, unknown> | undefined)?.[step], config);
}

/** A copy of the configuration with another value at a path. */
function withValue(config: PlainConfig, path: string, value: unknown): unknown {
  const copy: unknown = structuredClone(config);
  const steps = path.split(".");
  const last = steps.pop() ?? "";
  const parent = steps.reduce((object, step) => (object as Record<string, unknown>)[step], copy);
  (parent as Record<string, unknown>)[last] = value;
  return copy;
}
