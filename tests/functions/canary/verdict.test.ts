import { describe, expect, it } from "vitest";
import { firstTextBin, judge, noReplies, type ReplyCounts } from "../../../functions/core/canary/verdict";

const workers = { crashLoop: 0, noCapacity: 0 };

/** Replies that all start after `firstTextMs`. */
const slot = (
  replies: number,
  { firstTextMs = 600, ...change }: Partial<ReplyCounts> & { firstTextMs?: number } = {},
) => {
  const firstText = [...noReplies().firstText];
  firstText[firstTextBin(firstTextMs)] = replies;
  return { ...noReplies(), replies, firstText, ...change };
};
const released = [slot(300, { failed: 3, empty: 6 }), slot(300, { failed: 3, empty: 6 })];
const judged = (candidate: ReplyCounts[], change = {}) => judge({ candidate, released, workers, ...change });

describe("verdict about a candidate", () => {
  it("keeps a candidate whose replies are as good as those of the released version", () => {
    expect(judged([slot(40, { failed: 1 }), slot(40, { empty: 1 })])).toEqual({
      action: "keep",
      reason: "80 replies, not worse than the released version.",
    });
  });

  it("waits when there are fewer than 50 replies, and their failures may be chance", () => {
    expect(judged([slot(20, { failed: 1, empty: 1 }), slot(29, { failed: 1 })])).toEqual({
      action: "wait",
      reason: "49 replies, too few for a verdict: at least 50 are needed.",
    });
  });

  it.each([
    ["failed", 5],
    ["empty", 5],
    ["failed", 40],
  ] as const)("ends a candidate whose replies are all %s, already after %i of them", (part, replies) => {
    expect(judged([slot(replies, { [part]: replies })])).toEqual({
      action: "rollback",
      reason: `100.0% of the replies are ${part}, against ${part === "failed" ? "1.0" : "2.0"}% of the released version.`,
    });
  });

  it("waits when fewer than five replies have all failed", () => {
    expect(judged([slot(4, { failed: 4 })], { released: [slot(100_000)] }).action).toBe("wait");
  });

  it("waits when fewer than 50 replies start late", () => {
    expect(judged([slot(49, { firstTextMs: 5_000 })]).action).toBe("wait");
  });

  it("ends a candidate with more failed replies, and gives both rates", () => {
    expect(judged([slot(40), slot(60, { failed: 20 })])).toEqual({
      action: "rollback",
      reason: "20.0% of the replies are failed, against 1.0% of the released version.",
    });
  });

  it("ends a candidate with more empty or filtered replies", () => {
    expect(judged([slot(100, { empty: 30 })]).action).toBe("rollback");
  });

  it("ends a candidate with a slower first text", () => {
    const { action, reason } = judged([slot(60, { firstTextMs: 1_200 })]);
    expect(action).toBe("rollback");
    expect(reason).toContain("The first text is slower");
  });

  it("keeps a candidate with a faster first text", () => {
    expect(judged([slot(60, { firstTextMs: 200 })]).action).toBe("keep");
  });

  it("ends a candidate with one reply that breaks the contract, without a minimum number of replies", () => {
    expect(judged([slot(1, { invalid: 1 })]).action).toBe("rollback");
  });

  it.each([
    ["crashLoop", 2],
    ["noCapacity", 5],
  ] as const)("ends a candidate after minutes of %s", (metric, minutes) => {
    const actionAfter = (value: number) => judged([noReplies()], { workers: { ...workers, [metric]: value } }).action;
    expect([actionAfter(minutes - 1), actionAfter(minutes)]).toEqual(["wait", "rollback"]);
  });

  it("keeps a candidate when the released version fails equally often", () => {
    const broken = [slot(300, { failed: 60 }), slot(300, { failed: 60 })];
    expect(judged([slot(100, { failed: 20 })], { released: broken }).action).toBe("keep");
  });

  it("compares a candidate with the rates of a healthy model when the released version has too few replies", () => {
    expect(judged([slot(500, { failed: 5, empty: 10 })], { released: [slot(10)] }).action).toBe("keep");
    expect(judged([slot(500, { failed: 50 })], { released: [slot(10)] }).action).toBe("rollback");
  });

  it("finds a new fault after an hour without a fault", () => {
    const healthy = Array.from({ length: 12 }, () => slot(60));
    const baseline = Array.from({ length: 14 }, () => slot(300));
    const faulty = [slot(60, { failed: 12 }), slot(60, { failed: 12 })];
    expect(judged([...healthy, ...faulty], { released: baseline }).action).toBe("rollback");
  });

  it("ignores replies older than 30 minutes", () => {
    const old = slot(1_000, { failed: 1_000, invalid: 1 });
    expect(judged([old, ...Array.from({ length: 6 }, () => noReplies())]).action).toBe("wait");
  });
});
