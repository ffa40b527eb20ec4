import type { TokenUsage } from "./provider";

/** Prices of a model in US dollars per million tokens. */
export interface Prices {
  input: number;
  cachedInput: number;
  output: number;
}

/** Costs of one reply in micro-dollars, rounded up. A dollar per million tokens is a micro-dollar per token. */
export function costMicroUsd(
  { prompt_tokens, completion_tokens, cached_tokens = 0 }: TokenUsage,
  prices: Prices,
): number {
  const uncached = prompt_tokens - cached_tokens;
  return Math.ceil(uncached * prices.input + cached_tokens * prices.cachedInput + completion_tokens * prices.output);
}

/** Converts US dollars to whole micro-dollars. */
export function microUsd(usd: number): number {
  return Math.round(usd * 1_000_000);
}

/** Reservations of the same time slot expire together. A slot is longer than the longest chat. */
const SLOT_SECONDS = 600;

/**
 * Returns the time at which a reservation expires, in Unix seconds: the end of the next slot. If the relay crashes, a
 * chat's reservation therefore counts for 10 to 20 more minutes.
 */
export function reservationEnd(reservedAt: Date): number {
  return (Math.floor(reservedAt.getTime() / 1000 / SLOT_SECONDS) + 2) * SLOT_SECONDS;
}
