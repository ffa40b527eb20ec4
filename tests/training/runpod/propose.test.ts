import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";

const COMMIT = "c".repeat(40);
const dirs: string[] = [];
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "snack-misaki-propose-"));
  dirs.push(dir);
  for (const name of ["cli", "contract", "images", "training", "runpod", "local", "functions", "dynamic", "verify"])
    symlinkSync(join(process.cwd(), name), join(dir, name));
  rmSync(join(dir, "images"));
  mkdirSync(join(dir, "images"));
  for (const name of ["models.ts", "phi3", "mistral"])
    cpSync(join(process.cwd(), "images", name), join(dir, "images", name), { recursive: true });
});
afterEach(() => {
  for (const each of dirs.splice(0)) rmSync(each, { recursive: true, force: true });
});

/** Runs the bundled command in the copy of the repository. */
function propose(args: string[], env: Record<string, string> = {}) {
  // This call bundles the command and prints the help.
  execFileSync(process.execPath, ["cli/run.cjs", "training/command/train.ts", "--help"]);
  const bundle = join(process.cwd(), ".build/commands/training-command-train-ts.cjs");
  const { status, stdout } = spawnSync(process.execPath, [bundle, "propose", ...args, "--json"], {
    cwd: dir,
    env: { ...process.env, ...env },
    encoding: "utf8",
  });
  return { status, output: JSON.parse(stdout) as Record<string, unknown> };
}

const modelFile = () => readFileSync(join(dir, "images/mistral/model.json"), "utf8");

it("propose changes only the repository and the commit in the model's file", () => {
  const before = modelFile().split("\n");
  expect(propose(["mistral", "snack/mistral-mama", COMMIT])).toEqual({
    status: 0,
    output: {
      model: "mistral",
      file: "images/mistral/model.json",
      from: "mistralai/Mistral-7B-Instruct-v0.3@c170c708c41dac9275d15a8fff4eca08d52bab71",
      to: `snack/mistral-mama@${COMMIT}`,
    },
  });
  const changed = modelFile().split("\n");
  expect(changed.filter((line, index) => line !== before[index])).toEqual([
    '  "huggingFaceId": "snack/mistral-mama",',
    `  "revision": "${COMMIT}",`,
  ]);
});

it("propose refuses an incomplete commit hash, and changes nothing", () => {
  const before = modelFile();
  const { status, output } = propose(["mistral", "snack/mistral-mama", "main"]);
  expect(status).toBe(1);
  expect(JSON.stringify(output)).toContain("images/mistral/model.json would not be valid: revision");
  expect(modelFile()).toBe(before);
});

it("propose opens a pull request with one commit of the model's file", () => {
  const git = (...args: string[]) => execFileSync("git", args, { cwd: dir, encoding: "utf8", env });
  const identity = ["AUTHOR", "COMMITTER"].flatMap((role) => [
    [`GIT_${role}_NAME`, "test"],
    [`GIT_${role}_EMAIL`, "test@example.com"],
  ]);
  const bin = join(dir, "bin");
  mkdirSync(bin);
  writeFileSync(join(bin, "gh"), '#!/bin/sh\necho "$@" > gh.txt\necho https://github.com/example/pull/1\n');
  chmodSync(join(bin, "gh"), 0o755);
  const env = { ...process.env, ...Object.fromEntries(identity), PATH: `${bin}:${process.env.PATH}` } as Record<
    string,
    string
  >;
  git("init", "--quiet", "--initial-branch=main");
  git("add", "images");
  git("commit", "--quiet", "--message", "Start");
  git("init", "--quiet", "--bare", "remote.git");
  git("remote", "add", "origin", "remote.git");
  const { output } = propose(["mistral", "snack/mistral-mama", COMMIT, "--pull-request"], env);
  expect(output.pullRequest).toBe("https://github.com/example/pull/1");
  const branch = "retrain/mistral-cccccccccccc";
  expect(git("diff", "--name-only", "main", branch)).toBe("images/mistral/model.json\n");
  expect(git("ls-remote", "origin")).toContain(`refs/heads/${branch}`);
  expect(readFileSync(join(dir, "gh.txt"), "utf8")).toContain(`pr create --head ${branch}`);
});
