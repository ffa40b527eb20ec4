import { execFile } from "node:child_process";
import { describe, expect, it } from "vitest";
import { simulateBilling, type WrongRun } from "../../../verify/chaos/billing/simulation";

/** Runs `npm run chaos` with the given arguments. */
const chaos = (...args: string[]) =>
  new Promise<{ status: number | string | undefined; stdout: string; stderr: string }>((resolve) => {
    execFile(process.execPath, ["cli/run.cjs", "verify/chaos/chaos.ts", ...args], (error, stdout, stderr) =>
      resolve({ status: error?.code ?? 0, stdout, stderr }),
    );
  });

describe("Billing simulation", () => {
  it("finds wrong runs of the weaker strategies, but no wrong run of the production code", async () => {
    const wrongRuns: WrongRun[] = [];
    const result = await simulateBilling({ runs: 300, seed: 1 }, (wrong) => void wrongRuns.push(wrong));
    expect(wrongRuns).toEqual([]);
    expect(result.wrong).toBe(0);
    expect(result.staleRefused).toBeGreaterThan(0);
    expect(result.weaker.payloadLastWrite).toBeGreaterThan(30);
    expect(result.weaker.createdThenId).toBeGreaterThan(10);
    // This strategy fails when Stripe stores a server error under the idempotency key.
    expect(result.weaker.fixedIdempotencyKeys).toBeGreaterThan(5);
  });

  it("returns equal results for equal seeds and different results for different seeds", async () => {
    const [once, again, other] = [
      await simulateBilling({ runs: 40, seed: 7 }),
      await simulateBilling({ runs: 40, seed: 7 }),
      await simulateBilling({ runs: 40, seed: 1_000 }),
    ];
    expect(again).toEqual(once);
    expect(other).not.toEqual(once);
  });

  it("produces the same events for a seed in a single run and in a series of runs", async () => {
    const traces: string[][] = [[], []];
    await simulateBilling({ runs: 1, seed: 12, trace: (line) => traces[0]?.push(line) });
    await simulateBilling({ runs: 3, seed: 10, trace: (line) => traces[1]?.push(line) });
    expect(traces[0]?.length).toBeGreaterThan(10);
    expect(traces[1]?.slice(-(traces[0]?.length ?? 0))).toEqual(traces[0]);
  });

  it("finds wrong runs when the write condition is removed, and reports their seeds", async () => {
    const wrongRuns: WrongRun[] = [];
    const { wrong, staleRefused } = await simulateBilling({ runs: 2_000, seed: 1, fence: false }, (one) =>
      wrongRuns.push(one),
    );
    expect(wrong).toBeGreaterThan(2);
    expect(staleRefused).toBe(0);
    expect(wrongRuns).toHaveLength(wrong);
    const seed = wrongRuns[0]?.seed ?? 0;
    expect(await simulateBilling({ runs: 1, seed, fence: false })).toMatchObject({ wrong: 1 });
  });

  it("finds wrong runs when the reconciler is removed", async () => {
    const { wrong } = await simulateBilling({ runs: 300, seed: 1, reconciler: false });
    expect(wrong).toBeGreaterThan(2);
  });
});

describe("npm run chaos", () => {
  it("prints one JSON object with the counts of wrong runs when called with --json", async () => {
    const { status, stdout } = await chaos("billing", "--runs", "5", "--seed", "3", "--json");
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      runs: 5,
      wrong: 0,
      staleRefused: expect.any(Number),
      wrongRuns: [],
      weaker: {
        payloadLastWrite: expect.any(Number),
        createdThenId: expect.any(Number),
        refetchNoFence: expect.any(Number),
        fixedIdempotencyKeys: expect.any(Number),
      },
    });
  });

  it.each([
    [["billing", "--runs", "0"], "--runs"],
    [["billing", "--runs", "many"], "--runs"],
    [["billing", "--seed", "-1"], "--seed"],
    [["nightmare"], "billing"],
    [[], "simulation"],
  ])("rejects the arguments %j with a one-line error", async (args, named) => {
    const { status, stdout, stderr } = await chaos(...args);
    expect(status).toBe(1);
    expect(stdout).toBe("");
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(stderr).toContain(named);
  });
});
