import { Random, streams } from "../random";
import type { Dependency, KeyFault } from "./invocation";
import type { Scenario } from "./scenario";

/** Target of a failure: a dependency of the functions, the Stripe key, or the webhook endpoint. */
export type OutageTarget = Dependency | KeyFault | "endpoint";

/** A period in which one target does not answer. */
export interface Outage {
  target: OutageTarget;
  /** Milliseconds since the epoch. */
  from: number;
  to: number;
  /** Whether Stripe stops retrying the events of this period. Stripe still lists these events as undelivered. */
  givesUp: boolean;
}

const OUTAGE_PROBABILITY = 0.18;
const GIVES_UP_PROBABILITY = 0.5;
const MINUTE_MS = 60_000;

/**
 * Returns undefined in most runs. In the other runs, returns an outage that starts up to five minutes before a random
 * change and ends long before the row is checked.
 */
export function makeOutage({ changes }: Scenario, seed: number): Outage | undefined {
  const random = new Random(seed, streams.outage);
  if (!random.chance(OUTAGE_PROBABILITY)) return undefined;
  const target = random.pick(["endpoint", "endpoint", "table", "stripe", "key", "account"] as const);
  const from = random.pick(changes).at - random.between(0, 5 * MINUTE_MS);
  const to = from + random.between(MINUTE_MS, 120 * MINUTE_MS);
  return { target, from, to, givesUp: target === "endpoint" && random.chance(GIVES_UP_PROBABILITY) };
}

/** Whether the outage hits a target at a time. */
export function isWithin(outage: Outage | undefined, target: OutageTarget, time: number): boolean {
  return outage?.target === target && outage.from <= time && time < outage.to;
}
