import { command, run } from "../../cli/command";
import { Progress } from "../../cli/progress";
import { START_STACK } from "../../names";
import { inStackCloud } from "../cloud/stackCloud";
import { preview, type StepEvent, up } from "../pulumi/engine";
import { parseOverrides } from "../support/stackConfig";
import { changeTable, creationTable, previewRows } from "./previewTable";

interface Options {
  stack: string;
  config: string[];
  all?: boolean;
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
  .addHelpText("after", "\nThe preview runs in a temporary local cloud. --json prints every step as one list.")
  .action(async ({ stack, config, all, json }: Options) => {
    const progress = new Progress(process.stderr);
    const overrides = parseOverrides(config);
    const steps = await previewChanges(stack, overrides, progress);
    progress.clear();
    if (json) {
      console.log(JSON.stringify(steps));
      return;
    }
    const rows = previewRows(steps, all ?? false);
    console.log(Object.keys(overrides).length > 0 ? changeTable(rows) : creationTable(rows));
    const counts = Object.entries(Object.groupBy(steps, ({ op }) => op)).map(([op, group]) => `${group.length} ${op}`);
    console.log(`${steps.length} resources: ${counts.join(", ")}`);
  });

void run(program);

/**
 * Previews the program in a temporary local cloud.
 *
 * @param stack name of the stack
 * @param overrides configuration values by path, such as `phi3.imageTag`. If there are any, the stack is first created
 * without them, so that the preview shows their effect.
 */
function previewChanges(stack: string, overrides: Record<string, unknown>, progress: Progress): Promise<StepEvent[]> {
  const onStep = ({ op, type, name }: StepEvent) => progress.activity(`${op} ${type} ${name}`);
  progress.step("Starting the local cloud …");
  return inStackCloud({ stack, onStep }, async (options) => {
    if (Object.keys(overrides).length > 0) {
      progress.step("Creating the stack without the change …");
      await up(options({}));
    }
    progress.step("Evaluating the program …");
    return (await preview(options(overrides))).steps;
  });
}
