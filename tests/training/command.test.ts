import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { needsPython } from "../workerPython";

const folder = mkdtempSync(join(tmpdir(), "snack-misaki-training-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs `npm run train` with `--json`. */
function train(...args: string[]): { status: number | null; output: Record<string, unknown> } {
  const command = ["cli/run.cjs", "training/command/train.ts", ...args, "--json"];
  const { status, stdout } = spawnSync(process.execPath, command, { encoding: "utf8" });
  return { status, output: JSON.parse(stdout) };
}

describe("npm run train", needsPython, () => {
  it("accepts the starter set", () => {
    const { status, output } = train("data");
    expect(status).toBe(0);
    expect(output).toMatchObject({ problems: [], sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(Number(output.trained) + Number(output.heldOut)).toBe(output.conversations);
  });

  it("fails with the file, the line and the field of a problem in the data", () => {
    const file = join(folder, "bad.jsonl");
    writeFileSync(file, '{"messages": [{"role": "user", "content": "mail mama@example.com"}]}\n');
    const licence = { licence: "MIT", origin: "written", source: "test" };
    writeFileSync(join(folder, "bad.license.json"), JSON.stringify(licence));
    const { status, output } = train("data", file);
    expect(status).toBe(1);
    expect(output.problems).toEqual([`${file}:1: messages: must end with a message of the assistant`]);
  });

  it.each([
    [[], "The model is missing; allowed: phi3, mistral"],
    [["phi3"], "--base is missing: the folder of the base model, or --tiny for a tiny random model"],
    [["gate"], "--model, --candidate and --measurements are required without --selftest"],
  ])("names a missing option: %j", (args, message) => {
    const { status, output } = train(...args);
    expect(output).toEqual({ error: { message } });
    expect(status).toBe(1);
  });
});
