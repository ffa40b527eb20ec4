import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";

/** Runs one of our commands through the real npm. Returns the final line of stderr. */
function npm(...args: string[]): { status: number | null; error: string } {
  const { status, stderr } = spawnSync("npm", args, { encoding: "utf8" });
  return { status, error: stderr.trim().split("\n").at(-1) ?? "" };
}

describe("npm with an option of ours but without --", () => {
  it.each([
    [
      ["start", "--reset"],
      "npm has parsed --reset as its own option. Write -- before the options: npm run start -- --reset",
    ],
    [["start", "--no-python"], "npm run start -- --no-python"],
    [["start", "--dir=elsewhere", "--free-ports"], "npm run start -- --free-ports --dir elsewhere"],
    [["start", "--dir", "elsewhere"], "npm run start -- --dir <folder>"],
    [["run", "structure", "--json"], "npm run structure -- --json"],
    [["run", "chaos", "billing", "--runs", "3"], "npm run chaos -- --runs"],
  ])("fails for the arguments %j and shows the correct command", (args, expected) => {
    const { status, error } = npm(...args);
    expect(error).toContain(expected);
    expect(status).toBe(1);
  });

  it("accepts an npm setting that has the same name as one of our options", () => {
    const { error } = npm("run", "start", "--python=/usr/bin/python3", "--", "--engine", "scripted", "--no-python");
    expect(error).toContain("--engine and --no-python exclude each other");
  });
});
