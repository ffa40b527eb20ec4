import { describe, expect, test } from "vitest";
import { type FailoverProvider, failoverProviders, runFailover } from "../../../verify/failover/run";
import { scenarios } from "../../../verify/failover/scenarios";

/** `npm run verify -- failover` runs at the scale 1, with the product's own deadlines. */
const SCALE = 20;

describe.each(failoverProviders)("a failing %s", (provider: FailoverProvider) => {
  test("passes all sixteen scenarios at twenty times the speed", async () => {
    const result = await runFailover({ scale: SCALE, providers: [provider] });
    expect(result.scenarios.filter(({ passed }) => !passed)).toEqual([]);
    expect(result.passed).toBe(scenarios.length);
  });
});

test("an unknown scenario is an error that lists the scenarios", async () => {
  await expect(runFailover({ scale: SCALE, only: ["S17"] })).rejects.toThrow(/S17 is no scenario.*S01, S02/);
});
