import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { command, run } from "../../cli/command";
import { Progress } from "../../cli/progress";
import { secretKeys } from "../../infra/configSchema";
import { configKey, START_STACK } from "../../names";
import { startLocalCloud } from "../cloud/cloud";
import { engineOptions } from "../cloud/program";
import { preview, type StepEvent, up } from "../pulumi/engine";
import { parseOverrides, readStackConfig, type StackConfig } from "../support/stackConfig";
import { changeTable, creationTable, markdownTable, previewRows } from "./previewTable";

interface Options {
  stack: string;
  config: string[];
  all?: boolean;
  markdown?: boolean;
  json?: boolean;
}

const program = command(
  "preview:local",
  "Shows the resources that the program would create in a new stack, with their names and tags at AWS. With --config: the effect of a change on an existing stack.",
)
  .option("--stack <name>", "stack whose Pulumi.<name>.yaml is used", START_STACK)
  .option(
    "--config <path=value>",
    "preview this change of the configuration, such as phi3.imageTag=2.0.0 (repeat it for more changes)",
    (value, list: string[]) => [...list, value],
    [],
  )
  .option("--all", "show every unchanged resource instead of one line per component")
  .option("--markdown", "print the table as Markdown, for a pull request or a job summary")
  .addHelpText("after", "\nThe preview runs in a temporary local cloud. --json prints every step as one list.")
  .action(async ({ stack, config, all, markdown, json }: Options) => {
    const progress = new Progress(process.stderr);
    const overrides = parseOverrides(config);
    const steps = await previewChanges(stack, overrides, progress);
    progress.clear();
    if (json) {
      console.log(JSON.stringify(steps));
      return;
    }
    const rows = previewRows(steps, all ?? false);
    const isChange = Object.keys(overrides).length > 0;
    if (markdown) console.log(`### ${stack}\n\n${markdownTable(rows, isChange)}\n`);
    else console.log(isChange ? changeTable(rows) : creationTable(rows));
    const counts = Object.entries(Object.groupBy(steps, ({ op }) => op)).map(([op, group]) => `${group.length} ${op}`);
    console.log(`${steps.length} resources: ${counts.join(", ")}`);
  });

const programDir = process.cwd();

void run(program);

/**
 * Previews the program in a temporary local cloud.
 *
 * @param stack name of the stack
 * @param overrides configuration values by path, such as `phi3.imageTag`. If there are any, the stack is first created
 * without them, so that the preview shows their effect.
 */
async function previewChanges(
  stack: string,
  overrides: Record<string, unknown>,
  progress: Progress,
): Promise<StepEvent[]> {
  const dir = mkdtempSync(join(tmpdir(), "snack-misaki-preview-"));
  const onStep = ({ op, type, name }: StepEvent) => progress.activity(`${op} ${type} ${name}`);
  progress.step("Starting the local cloud …");
  const cloud = await startLocalCloud({ programDir, dir, freePorts: true, config: regionOf(stack) });
  const config = (more: Record<string, unknown> = {}) =>
    stack === START_STACK ? cloud.config(more) : localConfig(stack, cloud.config(), more);
  const options = (more: Record<string, unknown>) => ({
    ...engineOptions({ config, providers: cloud.providers }, programDir, dir, more, stack),
    onStep,
  });
  try {
    if (Object.keys(overrides).length > 0) {
      progress.step("Creating the stack without the change …");
      await up(options({}));
    }
    progress.step("Evaluating the program …");
    const { steps } = await preview(options(overrides));
    return steps;
  } finally {
    await cloud.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The local cloud is in the stack's Region. */
function regionOf(stack: string): Record<string, unknown> {
  return stack === START_STACK ? {} : { "aws:region": readStackConfig(programDir, stack).values["aws:region"] };
}

/**
 * Configuration of a stack with the local cloud's URLs and keys, so that the preview calls no other service and needs
 * no secret.
 */
function localConfig(stack: string, local: StackConfig, overrides: Record<string, unknown>): StackConfig {
  const { values, encryptedKeys } = readStackConfig(programDir, stack);
  const secrets = Object.keys(secretKeys).filter((key) =>
    [...Object.keys(values), ...encryptedKeys, configKey("runpodApiKey")].includes(configKey(key)),
  );
  const placeholder = (key: string) => (key === "stripeWebhookSecret" ? "whsec_preview" : "preview");
  const replaced = [
    ...["runpodApiUrl", "runpodJobApiUrl", "stripeApiUrl"].map((key) => [key, local.values[configKey(key)]]),
    ...secrets.map((key) => [key, local.values[configKey(key)] ?? placeholder(key)]),
  ];
  return readStackConfig(programDir, stack, {
    ...Object.fromEntries(replaced),
    runpodImageLookupMs: 0,
    ...overrides,
  });
}
