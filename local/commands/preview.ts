import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { command, run } from "../../cli/command";
import { Progress } from "../../cli/progress";
import { startLocalCloud } from "../cloud/cloud";
import { bringUp, engineOptions } from "../cloud/program";
import { preview, type StepEvent } from "../pulumi/engine";
import { parseOverrides } from "../support/stackConfig";
import { previewRows, previewTable } from "./previewTable";

interface Options {
  config: string[];
  all?: boolean;
  json?: boolean;
}

const program = command(
  "preview:local",
  "Shows the resources that the program would create in a new stack. With --config: the effect of a change on an existing stack.",
)
  .option(
    "--config <path=value>",
    "preview this change of the configuration, such as phi3.imageTag=2.0.0 (repeat it for more changes)",
    (value, list: string[]) => [...list, value],
    [],
  )
  .option("--all", "show every unchanged resource instead of one line per component")
  .addHelpText("after", "\nThe preview runs in a temporary local cloud. --json prints every step as one list.")
  .action(async ({ config, all, json }: Options) => {
    const progress = new Progress(process.stderr);
    const steps = await previewChanges(parseOverrides(config), progress);
    progress.clear();
    if (json) {
      console.log(JSON.stringify(steps));
      return;
    }
    console.log(previewTable(previewRows(steps, all ?? false)));
    const counts = Object.entries(Object.groupBy(steps, ({ op }) => op)).map(([op, group]) => `${group.length} ${op}`);
    console.log(`${steps.length} resources: ${counts.join(", ")}`);
  });

void run(program);

/**
 * Previews the program in a temporary local cloud.
 *
 * @param overrides configuration values by path, such as `phi3.imageTag`. If there are any, the stack is first created
 * without them, so that the preview shows their effect.
 */
async function previewChanges(overrides: Record<string, unknown>, progress: Progress): Promise<StepEvent[]> {
  const dir = mkdtempSync(join(tmpdir(), "snack-misaki-preview-"));
  const programDir = process.cwd();
  const onStep = ({ op, type, name }: StepEvent) => progress.activity(`${op} ${type} ${name}`);
  progress.step("Starting the local cloud …");
  const cloud = await startLocalCloud({ programDir, dir, freePorts: true });
  try {
    if (Object.keys(overrides).length > 0) {
      progress.step("Creating the stack without the change …");
      await bringUp(cloud, programDir, dir, onStep);
    }
    progress.step("Evaluating the program …");
    const { steps } = await preview({ ...engineOptions(cloud, programDir, dir, overrides), onStep });
    return steps;
  } finally {
    await cloud.close();
    rmSync(dir, { recursive: true, force: true });
  }
}
