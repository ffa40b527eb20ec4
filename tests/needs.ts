import type { TestOptions } from "vitest";

/**
 * Options of a test group that needs software which some machines do not have. When the software is missing, vitest
 * skips the group, and the last line of `npm test` gives the reason.
 *
 * @param missing reason, such as "no Chromium found"; undefined when nothing is missing
 * @throws Error when something is missing and REQUIRE_ALL=1 forbids skips
 */
export function needs(missing: string | undefined): Pick<TestOptions, "skip" | "meta"> {
  if (missing === undefined) return {};
  if (process.env.REQUIRE_ALL === "1") throw new Error(`REQUIRE_ALL=1 allows no skip: ${missing}`);
  return { skip: true, meta: { skipReason: missing } as object };
}
