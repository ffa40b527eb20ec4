import { describe, expect, it } from "vitest";
import { ApiProblem } from "../../../client";
import { Account } from "../../../verify/soak/account";
import {
  isSame,
  listProcesses,
  type Measurement,
  memoryGrowth,
  type Process,
  treeOf,
} from "../../../verify/soak/processes";
import { findingLines, reportOf } from "../../../verify/soak/report";
import { runSoak, type SoakResult } from "../../../verify/soak/run";
import { Tally } from "../../../verify/soak/tally";
import { Timeline } from "../../../verify/soak/timeline";

it("a soak of 24 s with six customers and every fault finds no problem", async () => {
  const result = await runSoak({ minutes: 0.4, customers: 6, seed: 1, say: () => {}, show: () => {} });
  expect(findingLines(result)).toEqual([]);
  expect(reportOf(result)).toMatchObject({ passed: true });
  expect(result.rounds).toBeGreaterThan(20);
}, 600_000);

describe("a report", () => {
  const clean: SoakResult = {
    ...{
      chats: 1,
      chatsPerMinute: 1,
      excused: 0,
      rounds: 1,
      stalledSeconds: 0,
      accounts: 1,
      memoryGrowth: 10,
      memoryMb: {},
      containers: [1, 1],
    },
    ...{ lostEvents: [], wrongPlans: [], unexpected5xx: [], unexpectedErrors: [], leftProcesses: [] },
  };

  it("passes when every value equals its limit", () => {
    expect(reportOf(clean)).toMatchObject({ chats: 1, lostEvents: 0, leftProcesses: 0, passed: true });
  });

  it.each<[string, Partial<SoakResult>]>([
    ["an event is lost", { lostEvents: ["evt_1"] }],
    ["a plan is wrong", { wrongPlans: ["free"] }],
    ["a server error has no reason", { unexpected5xx: ["503"] }],
    ["another error has no reason", { unexpectedErrors: ["401"] }],
    ["a process is still running", { leftProcesses: ["run_worker.py (1)"] }],
    ["the memory grows by more than a tenth", { memoryGrowth: 10.1 }],
    ["nobody has chatted", { chats: 0 }],
  ])("fails when %s", (_, change) => {
    expect(reportOf({ ...clean, ...change }).passed).toBe(false);
  });
});

describe("an error", () => {
  const problem = new ApiProblem("unavailable", "Try again.");

  /** Judges an error in a session while a fault of an area is on. */
  function judge(error: unknown, explains: "session" | "billing"): Tally {
    const timeline = new Timeline();
    const tally = new Tally(timeline);
    timeline.begin([explains]);
    tally.judge(error, "customer 1 chats", ["session"], performance.now());
    return tally;
  }

  it("is excused by a fault of its area", () => {
    expect(judge(problem, "session")).toMatchObject({ excused: 1, findings: 0 });
  });

  it("is a finding when only another area has a fault", () => {
    const { unexpected5xx, excused } = judge(problem, "billing");
    expect(unexpected5xx).toEqual(["customer 1 chats, after 0 s: unavailable: Try again."]);
    expect(excused).toBe(0);
  });

  it.each([
    ["a refusal", new ApiProblem("already_subscribed", "There is one.")],
    ["an error of a page", new Error("Checkout answered 404")],
  ])("is always a finding when it is %s", (_, error) => {
    expect(judge(error, "session").unexpectedErrors).toHaveLength(1);
  });

  it("is excused until 3 s after the end of the fault, but not before the fault", () => {
    const timeline = new Timeline();
    timeline.begin(["webhook"], 10_000)(20_000);
    expect(timeline.explains(["webhook"], 9_000, 9_999)).toBe(false);
    expect(timeline.explains(["webhook"], 9_000, 10_000)).toBe(true);
    expect(timeline.explains(["webhook"], 23_000, 30_000)).toBe(true);
    expect(timeline.explains(["webhook"], 23_001, 30_000)).toBe(false);
  });
});

describe("an account", () => {
  it("has the bought plan, the free plan during a dispute, and the free plan after a cancelled period", () => {
    const account = new Account();
    expect(account.plan).toBe("free");
    account.bought = "vip";
    expect(account.plan).toBe("vip");
    account.disputed = true;
    expect(account.plan).toBe("free");
    account.disputed = false;
    account.endPeriod();
    expect(account.plan).toBe("vip");
    account.cancelled = true;
    account.endPeriod();
    expect(account.plan).toBe("free");
  });
});

describe("the memory of processes", () => {
  const process_ = (name: string, megabytes: number): Process => ({
    ...{ pid: 1, parent: 0, started: "now", name },
    bytes: megabytes * 1e6,
  });

  /** A measurement with containers of 10 MB in the process `start.ts`. */
  const measured = (count: number, ...processes: Process[]): Measurement => ({
    processes: processes.map((one, index) => ({ ...one, pid: index })),
    main: 0,
    containers: { count, averageBytes: 10e6 },
  });

  it("grows as much as the program with the largest growth of its average", () => {
    const before = measured(4, process_("start.ts", 100), process_("run_worker.py", 40), process_("run_worker.py", 60));
    const after = measured(4, process_("start.ts", 90), process_("run_worker.py", 60), process_("new.py", 500));
    expect(memoryGrowth(before, after)).toBe(20);
    expect(memoryGrowth(before, before)).toBe(0);
  });

  it("does not count the containers that were started in the meantime", () => {
    const before = measured(4, process_("start.ts", 100));
    expect(memoryGrowth(before, measured(6, process_("start.ts", 120)))).toBe(0);
    expect(memoryGrowth(before, measured(4, process_("start.ts", 120)))).toBe(20);
  });

  it("is measured for all descendants of a process", async () => {
    const all = await listProcesses();
    const tree = treeOf(process.ppid, all);
    const own = all.find(({ pid }) => pid === process.pid);
    expect(own && tree.some((one) => isSame(one, own))).toBe(true);
    expect(own?.bytes).toBeGreaterThan(10e6);
  });
});
