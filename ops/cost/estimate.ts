/** The three estimates, cheapest first. */
export const cases = ["low", "expected", "worst"] as const;
export type Case = (typeof cases)[number];

/** One value for each estimate. */
export type ByCase<T> = Record<Case, T>;

/** Creates one value for each estimate. */
export function byCase<T>(create: (of: Case) => T): ByCase<T> {
  return { low: create("low"), expected: create("expected"), worst: create("worst") };
}

/** One line of the bill. */
export interface Line {
  group: "RunPod" | "External LLMs" | "AWS";
  item: string;
  /** Quantities and prices from which the amount was computed. */
  basis: string;
  /** US dollars per month. */
  usd: ByCase<number>;
}

/** Adds up the lines of a bill. */
export function total(lines: Line[]): ByCase<number> {
  return byCase((of) => lines.reduce((sum, { usd }) => sum + usd[of], 0));
}
