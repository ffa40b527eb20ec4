import { command, run } from "../../cli/command";
import { Progress } from "../../cli/progress";
import { START_STACK } from "../../names";
import { previewStack } from "../cloud/previewStack";
import { configOption } from "../support/configOption";
import { parseOverrides } from "../support/stackConfig";
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
  .addOption(configOption("preview this change of the configuration, such as phi3.imageTag=2.0.0"))
  .option("--all", "show every unchanged resource; default: one line per component")
  .option("--markdown", "print the table as Markdown, for a pull request or a job summary")
  .addHelpText("after", "\nThe preview runs in a temporary local cloud. --json prints every step as one list.")
  .action(async ({ stack, config, all, markdown, json }: Options) => {
    const progress = new Progress(process.stderr);
    const overrides = parseOverrides(config);
    const isChange = Object.keys(overrides).length > 0;
    const { steps } = await previewStack(stack, { overrides, isChange }, progress);
    progress.clear();
    if (json) {
      console.log(JSON.stringify(steps));
      return;
    }
    const rows = previewRows(steps, all ?? false);
    if (markdown) console.log(`### ${stack}\n\n${markdownTable(rows, isChange)}\n`);
    else console.log(isChange ? changeTable(rows) : creationTable(rows));
    const counts = Object.entries(Object.groupBy(steps, ({ op }) => op)).map(([op, group]) => `${group.length} ${op}`);
    console.log(`${steps.length} resources: ${counts.join(", ")}`);
  });

void run(program);
