import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { copyRepository, type RepositoryCopy } from "../../repositoryCopy";

const dir = mkdtempSync(join(tmpdir(), "snack-misaki-rollout-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

let repository: RepositoryCopy;
beforeAll(() => {
  repository = copyRepository(dir);
});
beforeEach(() => {
  repository.git("checkout", "--quiet", "main");
  repository.git("reset", "--quiet", "--hard", "origin/main");
});

function run(command: "rollout" | "rollback", ...args: string[]) {
  const entry = `ops/rollout/${command}.ts`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ["cli/run.cjs", entry, ...args], {
    cwd: repository.path,
    encoding: "utf8",
    env: { PATH: `${dir}${delimiter}${process.env.PATH}`, HOME: process.env.HOME, NO_COLOR: "1" },
  });
  return { status, out: stdout.trim(), err: stderr.trim() };
}

const file = () => readFileSync(join(repository.path, "Pulumi.dev.yaml"), "utf8");

/** Rolls a tag of phi3 out and commits the change. */
function commitTag(tag: string): void {
  expect(run("rollout", "phi3", tag, "--stack", "dev").status).toBe(0);
  repository.git("commit", "--quiet", "--all", "--message", `Roll out ${tag}`);
}

describe("npm run rollout", () => {
  it("sets the tag in the stack's file, and prints the change as JSON", () => {
    const { status, out } = run("rollout", "phi3", "2026-12-01", "--stack", "dev", "--json");
    expect(status).toBe(0);
    expect(JSON.parse(out)).toEqual({
      stack: "dev",
      model: "phi3",
      file: "Pulumi.dev.yaml",
      from: "2026-11-22",
      to: "2026-12-01",
    });
    expect(repository.git("diff", "--numstat")).toBe("1\t1\tPulumi.dev.yaml");
    expect(run("rollout", "phi3", "2026-12-02", "--stack", "dev").out).toBe(
      "Pulumi.dev.yaml: phi3 2026-12-01 → 2026-12-02\nNext: commit Pulumi.dev.yaml, then pulumi up --stack dev",
    );
  });

  it.each([
    ["a tag that does not name one build", ["phi3", "latest"], "phi3.imageTag: must name one build, not latest"],
    [
      "a name without tag and digest",
      ["phi3", "ghcr.io/a/b"],
      "phi3.imageUri: must be host/name:tag or host/name@sha256:…",
    ],
    ["the current image", ["phi3", "2026-11-22"], "phi3 already has the image 2026-11-22 in Pulumi.dev.yaml"],
    ["an unknown model", ["gpt", "v1"], "Allowed choices are phi3, mistral"],
  ])("rejects %s and does not change the file", (_, args, message) => {
    const before = file();
    const { status, err } = run("rollout", ...args, "--stack", "dev");
    expect(status).toBe(1);
    expect(err).toContain(message);
    expect(file()).toBe(before);
  });

  it.each(["staging2", "../dev", "dev.yaml"])(
    "rejects the stack %s, which has no file, and names the stacks",
    (stack) => {
      const { status, err } = run("rollout", "phi3", "v2", "--stack", stack);
      expect(status).toBe(1);
      expect(err).toMatch(new RegExp(`^--stack ${stack}: must be a stack with a file, dev, local`));
    },
  );

  it("with --propose names the pushed branch when gh fails", () => {
    writeFileSync(join(dir, "gh"), "#!/bin/sh\necho 'run: gh auth login' >&2\nexit 4\n", { mode: 0o755 });
    const { status, err } = run("rollout", "phi3", "v2", "--stack", "dev", "--propose");
    expect([status, err]).toEqual([
      1,
      "gh pr failed: run: gh auth login. The branch roll-out/dev-phi3-v2 is pushed: open its pull request yourself",
    ]);
    expect(repository.git("log", "-1", "--format=%s", "origin/roll-out/dev-phi3-v2")).toBe("Roll out phi3 v2 in dev");
  });
});

describe("npm run rollout --propose", () => {
  it("uses a new branch when the branch of an earlier rollout of the same image remains", () => {
    writeFileSync(join(dir, "gh"), "#!/bin/sh\necho https://github.test/pull/7\n", { mode: 0o755 });
    const branches = () =>
      repository.git("ls-remote", "origin", "refs/heads/roll-out/dev-phi3-again*").split("\n").filter(Boolean).length;
    const propose = () => run("rollout", "phi3", "again", "--stack", "dev", "--propose");
    expect(propose()).toMatchObject({ status: 0, err: "" });
    repository.git("checkout", "--quiet", "main");
    // In this clone the branch remains, as for an operator.
    expect(propose()).toMatchObject({ status: 0, err: "" });
    repository.git("checkout", "--quiet", "main");
    // In a new clone only GitHub has the branches, as for a workflow.
    for (const name of ["again", "again-2"]) repository.git("branch", "-D", `roll-out/dev-phi3-${name}`);
    expect(propose()).toMatchObject({ status: 0, err: "" });
    expect(branches()).toBe(3);
  });
});

describe("npm run rollback", () => {
  it("restores the previous image, even when later commits changed other keys", () => {
    commitTag("v2");
    expect(run("rollout", "mistral", "v9", "--stack", "dev").status).toBe(0);
    repository.git("commit", "--quiet", "--all", "--message", "Another model");
    const { out } = run("rollback", "phi3", "--stack", "dev", "--json");
    expect(JSON.parse(out)).toMatchObject({ from: "v2", to: "2026-11-22" });
    expect(file()).toContain('pushedTag: "2026-11-22"');
    expect(file()).toContain('imageTag: "v9"');
  });

  it("sets pushedTag, so that the program builds nothing, and the next rollout sets imageTag", () => {
    commitTag("v2");
    expect(run("rollback", "phi3", "--stack", "dev")).toMatchObject({ status: 0, err: "" });
    repository.git("commit", "--quiet", "--all", "--message", "Roll back");
    expect(run("rollback", "phi3", "--stack", "dev").out).toContain("phi3 2026-11-22 → v2");
    expect(file()).toContain('    pushedTag: "v2"');
    commitTag("v3");
    expect(file()).toContain('    imageTag: "v3"');
    expect(file()).not.toContain('pushedTag: "');
  });

  it.each(["imageTag", "pushedTag"])(
    "after an imageUri builds the tag of %s, because the stack has no ECR, and names the commit of its sources",
    (key) => {
      const commit = repository.git("log", "-1", "--format=%H", "--", "Pulumi.dev.yaml");
      const before = file().replace(/(snack-misaki:phi3:\n(?:.*\n)*? +)imageTag:/, `$1${key}:`);
      writeFileSync(join(repository.path, "Pulumi.dev.yaml"), before);
      repository.git("commit", "--quiet", "--all", "--allow-empty", "--message", "Image of the stack");
      expect(run("rollout", "phi3", `ghcr.io/a/b@sha256:${"a".repeat(64)}`, "--stack", "dev").status).toBe(0);
      repository.git("commit", "--quiet", "--all", "--message", "Image of a pipeline");
      expect(run("rollback", "phi3", "--stack", "dev")).toMatchObject({
        status: 0,
        err:
          "Warning: The stack has no ECR repository, so pulumi up builds 2026-11-22 from images/. First get its sources " +
          `back: git checkout ${commit} -- images`,
      });
      expect(file()).toMatch(/phi3:\n(?:.*\n)*? +imageTag: "2026-11-22"/);
    },
  );

  it("with weights: cached names the commit of the old image's model.json, whose weights its workers need", () => {
    const cached = file().replace(/(snack-misaki:phi3:\n)/, "$1    weights: cached\n");
    writeFileSync(join(repository.path, "Pulumi.dev.yaml"), cached);
    repository.git("commit", "--quiet", "--all", "--message", "Cache the weights");
    const commit = repository.git("rev-parse", "HEAD");
    commitTag("v2");
    expect(run("rollback", "phi3", "--stack", "dev").err).toBe(
      "Warning: phi3.weights is cached, and the workers of 2026-11-22 need its commit of the weights. First get it back: git " +
        `checkout ${commit} -- images/phi3/model.json`,
    );
  });

  it("does not warn when the previous image is a full name with a digest", () => {
    for (const digit of ["a", "b"]) {
      expect(run("rollout", "phi3", `ghcr.io/a/b@sha256:${digit.repeat(64)}`, "--stack", "dev").status).toBe(0);
      repository.git("commit", "--quiet", "--all", "--message", digit);
    }
    expect(run("rollback", "phi3", "--stack", "dev")).toMatchObject({ status: 0, err: "" });
    expect(file()).toContain(`imageUri: "ghcr.io/a/b@sha256:${"a".repeat(64)}"`);
  });

  it("restores the committed image when the current image is not committed", () => {
    commitTag("v2");
    expect(run("rollout", "phi3", "v3", "--stack", "dev").status).toBe(0);
    expect(run("rollback", "phi3", "--stack", "dev").out).toContain("phi3 v3 → v2");
  });

  it("fails when git has no earlier image, and reports a shallow clone", () => {
    const { status, err } = run("rollback", "phi3", "--stack", "dev");
    expect([status, err]).toEqual([1, "Pulumi.dev.yaml has no earlier image of phi3 in git"]);
    commitTag("v2");
    repository.git("push", "--quiet", "origin", "HEAD:refs/heads/shallow");
    repository.git("fetch", "--quiet", "--depth=1", "origin", "shallow");
    repository.git("checkout", "--quiet", "FETCH_HEAD");
    expect(run("rollback", "phi3", "--stack", "dev").err).toMatch(/The clone is shallow: run git fetch --unshallow$/);
  });
});
