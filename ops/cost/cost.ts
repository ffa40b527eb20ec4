import { command, run } from "../../cli/command";
import { Progress } from "../../cli/progress";
import { MAX_CHATS_PER_DAY } from "../../infra/configSchema";
import { configOption } from "../../local/support/configOption";
import { parseOverrides } from "../../local/support/stackConfig";
import { billOf, capacityNotes } from "./bill";
import { evaluateStack } from "./evaluate";
import { createReport, reportText } from "./report";
import { settingsThatMatter } from "./settings";

interface Options {
  stack: string;
  chatsPerDay?: string;
  config: string[];
  json?: boolean;
}

const program = command(
  "cost",
  "Estimates what a stack costs in a month, from the evaluated program and price tables. It needs no account and changes nothing.",
)
  .requiredOption("--stack <name>", "stack whose Pulumi.<name>.yaml is used")
  .option(
    "--chats-per-day <n>",
    "chats per day; a chat is one message and its reply (default: operations.expectedChatsPerDay)",
  )
  .addOption(configOption("estimate with this change of the configuration, such as phi3.workersMax=6"))
  .addHelpText(
    "after",
    `
The price tables with their dates and sources are in ops/cost/prices/. With RUNPOD_API_KEY in the environment, or a key that
the pulumi command can read, the GPU prices come from RunPod's live catalogue.`,
  )
  .action(async ({ stack, chatsPerDay, config, json }: Options) => {
    const progress = new Progress(process.stderr);
    const overrides = {
      ...parseOverrides(config),
      ...(chatsPerDay !== undefined && { "operations.expectedChatsPerDay": chatCount(chatsPerDay) }),
    };
    const evaluated = await evaluateStack(stack, overrides, progress);
    progress.clear();
    const report = createReport({
      stack,
      chatsPerDay: evaluated.config.operations.expectedChatsPerDay,
      lines: billOf(evaluated),
      settings: settingsThatMatter(evaluated),
      prices: evaluated.sources,
      notes: [...evaluated.notes, ...capacityNotes(evaluated)],
    });
    console.log(json ? JSON.stringify(report) : reportText(report));
  });

void run(program);

function chatCount(text: string): number {
  const count = Number(text);
  if (text.trim() !== "" && count >= 0 && count <= MAX_CHATS_PER_DAY) return count;
  const most = MAX_CHATS_PER_DAY.toLocaleString("en");
  throw new Error(`--chats-per-day: must be a number from 0 to ${most}, got "${text}"`);
}
