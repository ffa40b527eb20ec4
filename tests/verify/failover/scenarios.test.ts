import { beforeAll, describe, expect, test } from "vitest";
import { type FailoverResult, failoverProviders, runFailover } from "../../../verify/failover/run";
import { scenarios } from "../../../verify/failover/scenarios";

/** `npm run verify -- failover` uses the scale 1, with the product's real deadlines. */
const SCALE = 10;

describe("the relay in front of a failing provider", () => {
  let result: FailoverResult;
  beforeAll(async () => {
    result = await runFailover({ scale: SCALE });
  });

  test.each(failoverProviders)("passes all sixteen scenarios of %s", (provider) => {
    const own = result.scenarios.filter((one) => one.provider === provider);
    expect(own.filter(({ passed }) => !passed)).toEqual([]);
    expect(own.map(({ id }) => id)).toEqual(scenarios.map(({ id }) => id));
  });
});

test("rejects an unknown scenario and lists the known scenarios", async () => {
  await expect(runFailover({ scale: SCALE, only: ["S17"] })).rejects.toThrow(/S17 is not a scenario.*S01, S02/);
});
