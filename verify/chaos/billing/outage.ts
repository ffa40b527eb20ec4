import { Random, streams } from "../random";
import type { Dependency } from "./invocation";
import type { Story } from "./story";

/** What may be down: something the functions call, or the way from Stripe to them. */
export type Outaged = Dependency | "endpoint";

/** A time in which something does not answer at all. */
export interface Outage {
  what: Outaged;
  /** Milliseconds since the epoch. */
  from: number;
  to: number;
  /** Stripe gives up the deliveries of that time; it lists them as undelivered, and sends them no more. */
  givesUp: boolean;
}

const OUTAGES = 0.12;
const GIVES_UP = 0.5;
const MINUTE_MS = 60_000;

/** In some runs, one outage around a change, over long before the row is looked at. */
export function makeOutage({ changes }: Story, seed: number): Outage | undefined {
  const random = new Random(seed, streams.outage);
  if (!random.chance(OUTAGES)) return undefined;
  const what = random.pick(["endpoint", "endpoint", "table", "stripe"] as const);
  const from = random.pick(changes).at - random.between(0, 5 * MINUTE_MS);
  const to = from + random.between(MINUTE_MS, 120 * MINUTE_MS);
  return { what, from, to, givesUp: what === "endpoint" && random.chance(GIVES_UP) };
}

export function isWithin(outage: Outage | undefined, what: Outaged, time: number): boolean {
  return outage?.what === what && outage.from <= time && time < outage.to;
}
