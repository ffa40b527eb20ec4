import { round } from "./round";

/** Median and 95th percentile of times in milliseconds, with two decimals. */
export interface Percentiles {
  p50: number;
  p95: number;
}

/** Median and 95th percentile of the values. */
export function percentiles(values: number[]): Percentiles {
  const rounded = (share: number) => round(percentile(values, share), 2);
  return { p50: rounded(0.5), p95: rounded(0.95) };
}

/** Value below which a given share of the values lies. NaN for an empty list. */
export function percentile(values: number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN;
}
