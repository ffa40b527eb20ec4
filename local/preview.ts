import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Table from "cli-table3";
import pc from "picocolors";
import { startLocalCloud } from "./cloud";
import { command, run } from "./command";
import { bringUp, engineOptions } from "./program";
import { preview, type StepEvent } from "./pulumi/engine";
import { parseOverrides } from "./stackConfig";

interface Options {
  config: string[];
  json?: boolean;
}

/**
 * What the program would do to a stack that has nothing, or, given overrides, to one that was brought up without them.
 * It works in a local cloud of its own and leaves nothing behind.
 *
 * @param overrides by path, such as `phi3.imageTag`
 */
async function previewChanges(overrides: Record<string, unknown>): Promise<StepEvent[]> {
  const dir = mkdtempSync(join(tmpdir(), "snack-misaki-preview-"));
  const programDir = process.cwd();
  const cloud = await startLocalCloud({ programDir, dir, freePorts: true });
  try {
    if (Object.keys(overrides).length > 0) await bringUp(cloud, programDir, dir);
    return (await preview(engineOptions(cloud, programDir, dir, overrides))).steps;
  } finally {
    await cloud.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

const program = command("preview:local", "Prints every resource of the program, and what a change would do to it.")
  .option(
    "--config <path=value>",
    "show what this change of the configuration would do; may be given more than once",
    (value, list: string[]) => [...list, value],
    [],
  )
  .action(async ({ config, json }: Options) => {
    const steps = await previewChanges(parseOverrides(config));
    if (json) console.log(JSON.stringify(steps));
    else print(steps);
  });

void run(program);

function print(steps: StepEvent[]): void {
  const colour = {
    same: pc.dim,
    read: pc.dim,
    create: pc.green,
    update: pc.yellow,
    replace: pc.magenta,
    delete: pc.red,
  };
  const table = new Table({ head: ["type", "name", "change", "properties"], style: { head: [], border: [] } });
  for (const { op, type, name, changed } of steps) {
    table.push([type, name, op, op === "update" || op === "replace" ? changed.join(", ") : ""].map(colour[op]));
  }
  console.log(table.toString());
  const counts = Object.entries(Object.groupBy(steps, ({ op }) => op)).map(([op, group]) => `${group.length} ${op}`);
  console.log(`${steps.length} resources: ${counts.join(", ")}`);
}
