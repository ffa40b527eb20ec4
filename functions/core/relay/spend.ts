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
