import { describe, expect, it } from "vitest";
import { runCanary } from "../../../verify/canary/run";
import { faults, playHealthy } from "../../../verify/canary/simulation";

describe("verify canary", () => {
  it("gives no false alarm for healthy candidates, ends each broken one within 10 minutes, and waits when there are too few replies", () => {
    const report = runCanary(40, 1, () => {});
    expect(report).toMatchObject({ monotone: true, sticky: true, falseAlarms: 0, healthyRuns: 40, ok: true });
    expect(report.faults.map(({ fault }) => fault)).toEqual(Object.keys(faults));
    expect(report.faults.filter(({ minutes = 99 }) => minutes > 10)).toEqual([]);
    expect(report.tooFewReplies).toBe("18 replies, too few for a verdict: at least 50 are needed.");
  });

  it("plays the same candidate again with the same seed", () => {
    const play = () => playHealthy(2, { candidate: 20, released: 100 }, 5);
    expect(play()).toEqual(play());
  });
});
