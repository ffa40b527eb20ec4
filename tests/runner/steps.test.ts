import { stripVTControlCharacters } from "node:util";
import { describe, expect, it, vi } from "vitest";
import { printSummary, runLanes, type Step, skippedStep, summarise } from "./steps";

const node = (name: string, code: string, readReport?: Step["readReport"]): Step => ({
  name,
  command: [process.execPath, "-e", code],
  ...(readReport && { readReport }),
});
const quietly = async (...lanes: Step[][]) => {
  const write = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  try {
    const results = await runLanes(lanes, "all");
    return { results, printed: stripVTControlCharacters(write.mock.calls.map(([text]) => String(text)).join("")) };
  } finally {
    write.mockRestore();
  }
};
const nothing = { passed: 0, failed: 0, skipped: 0, skipReasons: [] };

describe("A step", () => {
  it("counts as one test when it has no report", async () => {
    const { results } = await quietly([node("lint", ""), node("types", "process.exit(1)")]);
    expect(results).toMatchObject([
      { name: "lint", passed: 1, failed: 0 },
      { name: "types", passed: 0, failed: 1 },
    ]);
  });

  it("counts as failed when it crashes, even without a failed test in its report", async () => {
    const { results } = await quietly([
      node("crash", "process.exit(3)", () => ({ ...nothing, passed: 5 })),
      node("no report", "process.exit(3)", () => {
        throw new Error("ENOENT");
      }),
    ]);
    expect(results).toMatchObject([
      { passed: 5, failed: 1 },
      { passed: 0, failed: 1 },
    ]);
  });

  it("prints all its output when it ends, unless it is in the first lane", async () => {
    const slow = node("slow", `console.log("begins"); setTimeout(() => console.log("ends"), 400)`);
    const { printed } = await quietly([slow], [node("other", `console.log("one"); console.log("two")`)]);
    expect(printed).toMatch(/— other \(\d+\.\d s\).*\none\ntwo\n/);
    expect(printed.indexOf("begins")).toBeLessThan(printed.indexOf("ends"));
  });
});

describe("The summary", () => {
  const results = [
    { name: "types", ...nothing, failed: 1 },
    { name: "tests", ...nothing, passed: 8, failed: 1, skipped: 2, skipReasons: ["2 tests: no Chromium found"] },
  ];
  const printed = (of: typeof results) => {
    const log = vi.spyOn(console, "log").mockReturnValue();
    printSummary(summarise(of));
    const lines = log.mock.calls.join("\n").trim().split("\n");
    log.mockRestore();
    return lines;
  };

  it("has the fields that npm test prints as JSON", () => {
    expect(summarise(results)).toEqual({
      passed: 8,
      failed: 2,
      skipped: 2,
      failedSteps: ["types", "tests"],
      skips: [{ step: "tests", reason: "2 tests: no Chromium found" }],
      seconds: expect.any(Number),
    });
  });

  it("prints the counts on the first line, and then the failed steps and the skips", () => {
    expect(printed(results)).toEqual([
      "8 passed, 2 failed, 2 skipped",
      expect.stringMatching(/Failed: types, tests\..*Skipped: tests \(2 tests: no Chromium found\)\./),
    ]);
  });

  it("contains only the counts when nothing failed and nothing was skipped", () => {
    expect(printed([{ name: "lint", ...nothing, passed: 1 }])).toEqual(["1 passed, 0 failed, 0 skipped"]);
  });

  it("counts a step that did not run as one skip and gives the reason", () => {
    const error = vi.spyOn(console, "error").mockReturnValue();
    const summary = summarise([skippedStep("worker images", "it needs root")]);
    expect(summary).toMatchObject({ skipped: 1, skips: [{ step: "worker images", reason: "it needs root" }] });
    error.mockRestore();
  });
});
