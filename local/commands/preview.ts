import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Table from "cli-table3";
import pc from "picocolors";
import { command, run } from "../../cli/command";
import { startLocalCloud } from "../cloud/cloud";
import { bringUp, engineOptions } from "../cloud/program";
import { preview, type StepEvent } from "../pulumi/engine";
import { parseOverrides } from "../support/stackConfig";

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

/** Each resource under what it is part of. What has lost its parent comes first. */
function inTree(steps: StepEvent[]): { step: StepEvent; depth: number }[] {
  const below = (parent: string, depth: number): { step: StepEvent; depth: number }[] =>
    steps.filter((step) => step.parent === parent).flatMap((step) => [{ step, depth }, ...below(step.urn, depth + 1)]);
  const roots = steps.filter((step) => !steps.some(({ urn }) => urn === step.parent));
  return roots.flatMap((step) => [{ step, depth: 0 }, ...below(step.urn, 1)]);
}

function print(steps: StepEvent[]): void {
  const colour = {
    same: pc.dim,
    read: pc.dim,
    create: pc.green,
    update: pc.yellow,
    replace: pc.magenta,
    delete: pc.red,
  };
  const table = new Table({
    head: ["type", "name", "change", "properties"],
    style: { head: [], border: [] },
    chars: { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" },
  });
  for (const { step, depth } of inTree(steps)) {
    const properties = step.op === "update" || step.op === "replace" ? step.changed.join(", ") : "";
    // In the words of Pulumi's own preview.
    const change = step.retained ? `${step.op} [retain]` : step.op;
    const row = [`${"  ".repeat(depth)}${step.type}`, step.name, change, properties];
    table.push(row.map(colour[step.op]));
  }
  console.log(table.toString());
  const counts = Object.entries(Object.groupBy(steps, ({ op }) => op)).map(([op, group]) => `${group.length} ${op}`);
  console.log(`${steps.length} resources: ${counts.join(", ")}`);
}
