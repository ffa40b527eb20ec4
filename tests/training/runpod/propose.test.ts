import { execFile, execFileSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { FakeHub, HUB_TOKEN, REPOSITORY } from "./hub";

let hub: FakeHub;
/** Commit of the result in the hub. */
let commit: string;
const dirs: string[] = [];
let dir: string;
beforeEach(async () => {
  hub = await FakeHub.start();
  upload({ mayBePromoted: true, openGates: [] });
  dir = mkdtempSync(join(tmpdir(), "snack-misaki-propose-"));
  dirs.push(dir);
  for (const name of ["cli", "contract", "images", "training", "runpod", "local", "functions", "dynamic", "verify"])
    symlinkSync(join(process.cwd(), name), join(dir, name));
  rmSync(join(dir, "images"));
  mkdirSync(join(dir, "images"));
  for (const name of ["models.ts", "phi3", "mistral"])
    cpSync(join(process.cwd(), "images", name), join(dir, "images", name), { recursive: true });
});
afterEach(async () => {
  await hub.close();
  for (const each of dirs.splice(0)) rmSync(each, { recursive: true, force: true });
});

/** Stores a result in the hub. */
function upload(verdict?: { mayBePromoted: boolean; openGates: string[] }, model = "mistral"): void {
  hub.upload(REPOSITORY, "run", verdict && { model, gates: {}, ...verdict });
  commit = hub.commitOf("run") ?? "";
}

/** Runs the bundled command in the copy of the repository. */
function propose(args: string[], env: Record<string, string> = {}) {
  // This call bundles the command and prints the help.
  execFileSync(process.execPath, ["cli/run.cjs", "training/command/train.ts", "--help"]);
  const bundle = join(process.cwd(), ".build/commands/training-command-train-ts.cjs");
  const options = { cwd: dir, env: { ...process.env, HF_TOKEN: HUB_TOKEN, HF_ENDPOINT: hub.url, ...env } };
  return new Promise<{ status: number; output: Record<string, unknown> }>((resolve) => {
    execFile(process.execPath, [bundle, "propose", ...args, "--json"], options, (error, stdout) =>
      resolve({ status: error ? Number(error.code) : 0, output: JSON.parse(stdout) as Record<string, unknown> }),
    );
  });
}

const modelFile = () => readFileSync(join(dir, "images/mistral/model.json"), "utf8");

it.each([
  ["a gate has not passed", { mayBePromoted: false, openGates: ["no-empty-reply"] }, "mistral", "no-empty-reply"],
  ["the result has no report", undefined, "mistral", "Without a report, download the candidate"],
  ["the report is about another model", { mayBePromoted: true, openGates: [] }, "phi3", "is a phi3, not a mistral"],
])("propose changes nothing when %s", async (_, verdict, model, problem) => {
  await hub.close();
  hub = await FakeHub.start();
  upload(verdict, model);
  const before = modelFile();
  const { status, output } = await propose(["mistral", REPOSITORY, commit]);
  expect(status).toBe(1);
  expect(JSON.stringify(output)).toContain(problem);
  expect(modelFile()).toBe(before);
});

it("propose changes nothing while Hugging Face does not answer", async () => {
  hub.status = 503;
  const before = modelFile();
  const { status, output } = await propose(["mistral", REPOSITORY, commit]);
  expect(status).toBe(1);
  expect(JSON.stringify(output)).toContain("Hugging Face answered HTTP 503");
  expect(modelFile()).toBe(before);
});

it("propose changes only the repository and the commit in the model's file", async () => {
  const before = modelFile().split("\n");
  expect(await propose(["mistral", REPOSITORY, commit])).toEqual({
    status: 0,
    output: {
      model: "mistral",
      file: "images/mistral/model.json",
      from: "mistralai/Mistral-7B-Instruct-v0.3@c170c708c41dac9275d15a8fff4eca08d52bab71",
      to: `${REPOSITORY}@${commit}`,
    },
  });
  const changed = modelFile().split("\n");
  expect(changed.filter((line, index) => line !== before[index])).toEqual([
    '  "huggingFaceId": "snack/mistral-mama",',
    `  "revision": "${commit}",`,
  ]);
});

it("propose refuses an incomplete commit hash, and changes nothing", async () => {
  const before = modelFile();
  const { status, output } = await propose(["mistral", REPOSITORY, "main"]);
  expect(status).toBe(1);
  expect(JSON.stringify(output)).toContain("The commit main is not complete; allowed: 40 hexadecimal digits");
  expect(modelFile()).toBe(before);
});

it("propose opens a pull request with one commit of the model's file", async () => {
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
  const { output } = await propose(["mistral", REPOSITORY, commit, "--pull-request"], env);
  expect(output.pullRequest).toBe("https://github.com/example/pull/1");
  const branch = `retrain/mistral-${commit.slice(0, 12)}`;
  expect(git("diff", "--name-only", "main", branch)).toBe("images/mistral/model.json\n");
  expect(git("ls-remote", "origin")).toContain(`refs/heads/${branch}`);
  expect(readFileSync(join(dir, "gh.txt"), "utf8")).toContain(`pr create --head ${branch}`);
});
