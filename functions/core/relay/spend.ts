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

/** Length of the slots in which reservations expire together. It is longer than the longest chat. */
const SLOT_SECONDS = 600;

/**
 * Time in Unix seconds after which a reservation no longer counts: the end of the slot after its own. A chat whose
 * relay crashed therefore keeps its reservation for at least 10 and at most 20 minutes.
 */
export function reservationEnd(reservedAt: Date): number {
  return (Math.floor(reservedAt.getTime() / 1000 / SLOT_SECONDS) + 2) * SLOT_SECONDS;
}
