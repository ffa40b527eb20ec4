import { spawnSync } from "node:child_process";
import { stripVTControlCharacters } from "node:util";
import { describe, expect, it } from "vitest";

/** Runs one of our commands through the real npm. `error` is the final line of stderr. */
function npm(...args: string[]): { status: number | null; stdout: string; error: string } {
  const { status, stdout, stderr } = spawnSync("npm", args, { encoding: "utf8" });
  return { status, stdout, error: stripVTControlCharacters(stderr).trim().split("\n").at(-1) ?? "" };
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

describe("A command with a wrong command line", () => {
  const cases: [string, string[], string][] = [
    ["an unknown subcommand", ["admin", "--", "sho"], "unknown command 'sho' (Did you mean show?)"],
    ["no subcommand", ["admin", "--"], "a command is missing"],
    ["a missing argument", ["admin", "--", "show"], "missing required argument 'user'"],
    ["a missing option", ["cost", "--"], "required option '--stack <name>' not specified"],
    ["an unknown option", ["doctor", "--", "--stak", "x"], "unknown option '--stak' (Did you mean --stack?)"],
  ];

  it.each(cases)("names the mistake and the command that lists the arguments: %s", (_what, args, mistake) => {
    const message = `${mistake}. See: npm run ${args[0]} -- --help`;
    expect(npm("run", "--silent", ...args)).toEqual({ status: 1, stdout: "", error: message });
    const { stdout, ...rest } = npm("run", "--silent", ...args, "--json");
    expect({ ...rest, printed: JSON.parse(stdout) }).toEqual({ status: 1, error: "", printed: { error: { message } } });
  });
});
