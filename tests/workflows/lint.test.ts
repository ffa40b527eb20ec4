import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { needs } from "../needs";
import { actionlint, zizmor } from "./linters";
import { workflowFiles } from "./workflows";

/** A workflow that evaluates a pull request's title as a part of a shell command. */
const injection = `on: pull_request
permissions: {}
jobs:
  title:
    runs-on: ubuntu-24.04
    steps:
      - run: echo "\${{ github.event.pull_request.title }}"
`;

describe.each([
  ["actionlint", actionlint, workflowFiles],
  ["zizmor", zizmor, [...workflowFiles, ".github/dependabot.yml"]],
])("%s", async (_, setUp, files) => {
  const {
    command: [file = "", ...args],
    missing,
  } = await setUp();
  const lint = (...files: string[]) => spawnSync(file, [...args, ...files], { encoding: "utf8" });

  describe("with the repository's workflows", needs(missing), () => {
    it("reports nothing", () => {
      const { status, stdout, stderr } = lint(...files);
      expect({ status, output: stdout + stderr }).toEqual({
        status: 0,
        output: expect.stringMatching(/^(No findings to report.*\n)?$/),
      });
    });

    it("reports a workflow that runs text of a pull request", () => {
      const dir = mkdtempSync(join(tmpdir(), "snack-misaki-workflow-"));
      onTestFinished(() => rmSync(dir, { recursive: true }));
      mkdirSync(join(dir, ".github/workflows"), { recursive: true });
      const path = join(dir, ".github/workflows/bad.yml");
      writeFileSync(path, injection);
      const { status, stdout } = lint(path);
      expect(status).not.toBe(0);
      expect(stdout).toMatch(/untrusted|injection/);
    });
  });
});
