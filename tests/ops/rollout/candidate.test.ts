import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Proof } from "../../../ops/admin/endCandidate";
import { copyRepository, type RepositoryCopy } from "../../repositoryCopy";

const dir = mkdtempSync(join(tmpdir(), "snack-misaki-candidate-"));
const tools = mkdtempSync(join(tmpdir(), "snack-misaki-tools-"));
const tool = (name: string, script: string) =>
  writeFileSync(join(tools, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });

const replies = { replies: 9, failed: 0, empty: 0, invalid: 0, first_text_ms: null };
const ready: Proof = { image: "2026-12-01", is_ready: true, override: null, verdict: null, candidate: replies };
/** Answer of the stack's admin function. */
let found = ready;
const lambda = createServer((_, response) => {
  response.end(JSON.stringify(found));
});

let repository: RepositoryCopy;
beforeAll(async () => {
  repository = copyRepository(dir);
  await new Promise<void>((resolve) => lambda.listen(0, "127.0.0.1", resolve));
});
afterAll(() => {
  lambda.close();
  for (const folder of [dir, tools]) rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  found = ready;
  rmSync(join(tools, "pulumi"), { force: true });
  tool("gh", "echo https://github.example/pull/7");
  repository.git("checkout", "--quiet", "main");
  repository.git("reset", "--quiet", "--hard", "origin/main");
  const candidate = ["    # A retrained model.", "    candidate:", '      imageTag: "2026-12-01"', "      share: 5"];
  write(original().replace(/(snack-misaki:mistral:.*\n)/, `$1${candidate.join("\n")}\n`));
});

const path = () => join(repository.path, "Pulumi.dev.yaml");
const original = () => repository.git("show", "origin/main:Pulumi.dev.yaml").concat("\n");
const file = () => readFileSync(path(), "utf8");
const write = (text: string) => writeFileSync(path(), text);

async function run(...args: string[]) {
  const options = {
    cwd: repository.path,
    env: {
      PATH: `${tools}${delimiter}${process.env.PATH}`,
      HOME: process.env.HOME,
      NO_COLOR: "1",
      AWS_ENDPOINT_URL_LAMBDA: `http://127.0.0.1:${(lambda.address() as AddressInfo).port}`,
      AWS_ACCESS_KEY_ID: "x",
      AWS_SECRET_ACCESS_KEY: "x",
    },
  };
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    ["cli/run.cjs", ...args, "--stack", "dev"],
    options,
  ).catch((failed: { stdout: string; stderr: string }) => failed);
  return { out: stdout.trim(), err: stderr.trim() };
}
const canary = (...args: string[]) => run("ops/admin/admin.ts", "canary", "mistral", ...args);

/** The file after a promotion: the candidate's image, no block, and the same comments. */
const promoted = () => {
  const [before = "", after = ""] = original().split(/(?=snack-misaki:mistral:.*\n)/);
  const lines = after.replace('imageTag: "2026-11-22"', 'imageTag: "2026-12-01"');
  return before + lines.replace(/(snack-misaki:mistral:.*\n)/, "$1    # A retrained model.\n");
};

describe("npm run admin -- canary <model> promote", () => {
  it("sets the candidate's image, removes its block, and runs pulumi up", async () => {
    tool("pulumi", 'echo "pulumi $@"');
    const { out } = await canary("promote");
    expect(out.split("\n")).toEqual([
      "Pulumi.dev.yaml: mistral 2026-11-22 → 2026-12-01",
      "pulumi up --stack dev",
      "Next: commit Pulumi.dev.yaml",
    ]);
    expect(file()).toBe(promoted());
  });

  it("keeps pushedTag, so that the released image is not built again", async () => {
    write(file().replace('imageTag: "2026-12-01"', 'pushedTag: "2026-12-01"'));
    await canary("promote");
    expect(file()).toBe(promoted().replace('imageTag: "2026-12-01"', 'pushedTag: "2026-12-01"'));
  });

  it("names the next step when pulumi is not installed", async () => {
    const { out } = await canary("promote");
    expect(out).toContain("Next: commit Pulumi.dev.yaml, then pulumi up --stack dev");
    expect(file()).toBe(promoted());
  });

  it("says so when pulumi up fails", async () => {
    tool("pulumi", "exit 255");
    expect((await canary("promote")).err).toBe("pulumi up failed: run pulumi up --stack dev again");
  });

  it("opens a pull request with --propose, and prints the change with --json", async () => {
    repository.git("commit", "--quiet", "--all", "--message", "Add a candidate");
    const { out } = await canary("promote", "--propose", "--json");
    expect(JSON.parse(out)).toEqual({
      stack: "dev",
      model: "mistral",
      file: "Pulumi.dev.yaml",
      from: "2026-11-22",
      to: "2026-12-01",
      pullRequest: "https://github.example/pull/7",
      isDeployed: false,
    });
    expect(repository.git("log", "-1", "--format=%s", "origin/promote/dev-mistral-2026-12-01")).toBe(
      "Promote mistral 2026-12-01 in dev",
    );
  });

  const rollback = {
    share: 0,
    is_aborted: false,
    by: "verdict" as const,
    reason: "The workers have crashed for 2 minutes.",
    at: "2026-12-02T03:04:05.000Z",
  };
  it.each([
    ["no worker of which has answered", { is_ready: false }, "None of its workers has answered yet."],
    [
      "that the verdict has rolled back",
      { override: rollback },
      "It was rolled back at 2026-12-02T03:04:05.000Z: The workers have crashed for 2 minutes.",
    ],
    ["that is aborted", { override: { ...rollback, is_aborted: true } }, "It was aborted at 2026-12-02T03:04:05.000Z."],
    [
      "whose last verdict is a rollback, which writes no override at share 0",
      { verdict: { action: "rollback" as const, reason: rollback.reason, at: rollback.at } },
      "Its verdict of 2026-12-02T03:04:05.000Z is a rollback: The workers have crashed for 2 minutes. Find the fault with " +
        "a tester first.",
    ],
    [
      "that has answered no chat",
      { candidate: { ...replies, replies: 0 } },
      "It has answered no customer's chat in the last 30 minutes. Set a share above 0 and wait for chats.",
    ],
    ["that is not deployed", { image: "2026-11-30" }, "The stack has the candidate 2026-11-30: run pulumi up first."],
  ])("refuses a candidate %s, except with --force", async (_, state, reason) => {
    found = { ...ready, ...state };
    const before = file();
    const message = `The candidate 2026-12-01 of mistral is not promoted. ${reason} --force promotes it anyway.`;
    expect((await canary("promote")).err).toBe(message);
    expect(file()).toBe(before);
    await canary("promote", "--force");
    expect(file()).toBe(promoted());
  });

  it("refuses a model without a candidate", async () => {
    write(original());
    expect((await canary("promote")).err).toBe(
      "Pulumi.dev.yaml has no candidate of mistral: add the block mistral.candidate first",
    );
  });
});

describe("npm run admin -- canary <model> remove", () => {
  it("removes only the candidate's block, and proposes that", async () => {
    repository.git("commit", "--quiet", "--all", "--message", "Add a candidate");
    const { out, err } = await canary("remove", "--propose");
    expect(err).toMatch(
      /^Warning: If images\/mistral has the candidate's model\.json, get the old one back before pulumi up/,
    );
    expect(out).toBe("Pulumi.dev.yaml: mistral 2026-12-01 → 2026-11-22\nhttps://github.example/pull/7");
    expect(file()).toBe(original().replace(/(snack-misaki:mistral:.*\n)/, "$1    # A retrained model.\n"));
    expect(repository.git("log", "-1", "--format=%s", "origin/abort/dev-mistral-2026-12-01")).toBe(
      "Abort mistral 2026-12-01 in dev",
    );
  });
});

describe("npm run rollout while a model has a candidate", () => {
  it("refuses the candidate's image, because only a promotion removes the second endpoint", async () => {
    const { err } = await run("ops/rollout/rollout.ts", "mistral", "2026-12-01");
    expect(err).toBe(
      "2026-12-01 is the candidate of mistral in Pulumi.dev.yaml: run npm run admin -- canary mistral promote --stack dev",
    );
  });

  it("keeps the candidate and warns that its verdict compares with the new image", async () => {
    const { out, err } = await run("ops/rollout/rollout.ts", "mistral", "2026-11-30");
    expect(out).toContain("mistral 2026-11-22 → 2026-11-30");
    expect(err).toBe("Warning: The candidate 2026-12-01 stays. From now on, the verdict compares it with 2026-11-30.");
    expect(file()).toContain('imageTag: "2026-12-01"');
  });
});
