import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { models } from "../../contract/plan";
import { CALLS_FOLDER } from "../../local/aws/iam/callRecord";
import { configKey } from "../../names";

// These tests add a third model to a copy of the repository. The new model is a copy of the first one under another
// name. The set-up makes the changes that a developer would make: the model's folder, its configuration in the stacks'
// files, and its line in the list of models.
const root = process.cwd();
const copy = mkdtempSync(join(tmpdir(), "snack-misaki-third-model-"));
const [first] = models;
const third = "qwen";
const local = ["node_modules", ".git", ".venv", ".build", ".local", "__pycache__"];

/** Runs a script in the copy and returns its output. */
function run(...args: string[]): string {
  // The calls of this other program are no calls of the stack.
  const { [CALLS_FOLDER]: _, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: copy, env, encoding: "utf8" });
  if (status !== 0) throw new Error(`${args.join(" ")} failed:\n${stdout}${stderr}`);
  return stdout;
}

function edit(file: string, change: (text: string) => string): void {
  const text = readFileSync(join(copy, file), "utf8");
  const changed = change(text);
  if (changed === text) throw new Error(`${file} has not changed`);
  writeFileSync(join(copy, file), changed);
}

beforeAll(() => {
  cpSync(root, copy, { recursive: true, filter: (path) => !local.includes(basename(path)) });
  for (const folder of ["node_modules", ".venv"]) {
    if (existsSync(join(root, folder))) symlinkSync(join(root, folder), join(copy, folder));
  }
  cpSync(join(root, "images", first), join(copy, "images", third), { recursive: true });
  edit("contract/plan.ts", (text) => text.replace(`  ${first}: ["free"],\n`, `  ${third}: ["free"],\n$&`));
  for (const file of ["Pulumi.dev.yaml", "Pulumi.local.yaml"]) {
    edit(file, (text) => {
      const { config } = parse(text) as { config: Record<string, unknown> };
      config[configKey(third)] = config[configKey(first)];
      return stringify({ config });
    });
  }
  run("cli/run.cjs", "contract/generate.ts");
});

afterAll(() => rmSync(copy, { recursive: true, force: true }));

describe("A third model", () => {
  it("compiles after only its folder, its configuration and its line in the list of models are added", () => {
    expect(run("node_modules/typescript/bin/tsc", "--noEmit")).toBe("");
  });

  it("has all resources of a model and replies to a job", () => {
    expect(JSON.parse(run("cli/run.cjs", "tests/program/thirdModelProbe.ts", third))).toEqual({
      session: { plan: "free", model: third, audience: third },
      reply: expect.objectContaining({ done: true, model: { plan: "free", name: third, version: "local-1" } }),
      outputs: [third, ...models],
      endpoint: true,
      template: true,
      image: true,
    });
  });
});
