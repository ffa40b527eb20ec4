import { describe, expect, test } from "vitest";
import { measureMemory } from "../../../verify/leavers/memory";
import { reportOf } from "../../../verify/leavers/report";
import { END_MS, type LeaversResult, runLeavers } from "../../../verify/leavers/run";

test("every upstream call ends after its client disconnects, or at the time cap", async () => {
  const { withCancel, withoutCancel } = await runLeavers({ clients: 12, seed: 1, say: () => {} });
  expect(withCancel).toMatchObject({ clients: 6, calls: 6 });
  expect(withCancel.longestAfterLeavingMs).toBeLessThanOrEqual(END_MS);
  expect(withoutCancel).toMatchObject({ clients: 6, calls: 6, outlivedCap: 0 });
});

test("gives slow readers whole replies and measures the relay's memory", async () => {
  const { firstBytes, lastBytes, ratio } = await measureMemory({ first: 24, last: 48 });
  // The relay's process alone needs more than 30 MB.
  expect(firstBytes).toBeGreaterThan(30e6);
  expect(ratio).toBe(lastBytes / firstBytes);
});

describe("a run", () => {
  const group = { clients: 100, afterText: 50, calls: 100 };
  const result: LeaversResult = {
    withCancel: { ...group, longestAfterLeavingMs: END_MS },
    withoutCancel: { ...group, outlivedCap: 0 },
  };
  const memory = { firstBytes: 100e6, lastBytes: 120e6, ratio: 1.2 };

  test("passes when every value equals its limit", () => {
    const report = reportOf(result, memory);
    expect(report).toMatchObject({ clients: 200, passed: true });
    expect(report.memory).toEqual({ after200Mb: 100, after2000Mb: 120, ratio: 1.2 });
  });

  test.each<[string, Partial<LeaversResult>, number]>([
    [
      "a call continues after its client has cancelled",
      { withCancel: { ...group, longestAfterLeavingMs: END_MS + 1 } },
      1,
    ],
    ["a call exceeds its cap", { withoutCancel: { ...group, outlivedCap: 1 } }, 1],
    ["the memory grows by more than a fifth", {}, 1.201],
    ["no call was made", { withoutCancel: { ...group, calls: 0, outlivedCap: 0 } }, 1],
    [
      "no client disconnected after it had received text",
      { withoutCancel: { ...group, afterText: 0, outlivedCap: 0 } },
      1,
    ],
  ])("fails when %s", (_, change, ratio) => {
    expect(reportOf({ ...result, ...change }, { ...memory, ratio }).passed).toBe(false);
  });
});
