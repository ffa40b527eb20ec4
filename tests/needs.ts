import type { TestOptions } from "vitest";

/**
 * Options of a test group that needs something which a machine may lack. With a reason, the group is skipped, and the
 * last line of `npm test` gives the reason.
 *
 * @param missing reason, such as "no Chromium found"; undefined when nothing is missing
 * @throws Error when REQUIRE_ALL=1 allows no skip
 */
export function needs(missing: string | undefined): Pick<TestOptions, "skip" | "meta"> {
  if (missing === undefined) return {};
  if (process.env.REQUIRE_ALL === "1") throw new Error(`REQUIRE_ALL=1 allows no skip: ${missing}`);
  return { skip: true, meta: { skipReason: missing } as object };
}
