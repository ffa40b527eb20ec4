import Table from "cli-table3";
import pc from "picocolors";
import { command, run } from "../local/command";
import { benchProgram, type ProgramBench } from "./program";

const IMPORT_BUDGET = 2.0;
const EVALUATE_BUDGET_MS = 4_000;
const REPLY_BUDGET_MS = 5_000;

const program = command("bench", "Measures sizes and times against their budgets.");

program
  .command("program", { isDefault: true })
  .description("the program: archives, imports, evaluation, start to first reply")
  .option("--json", "print one JSON object and nothing else")
  .action(async (options: { json?: boolean }) => {
    const json = options.json ?? program.opts<{ json?: boolean }>().json;
    if (!json) console.log(pc.dim("measuring; this takes about a minute …"));
    const result = await benchProgram();
    if (json) console.log(JSON.stringify(result));
    else print(result);
  });

void run(program);

function print({ zips, importRatio, evaluateMs, startToReplyMs }: ProgramBench): void {
  const table = new Table({ head: ["what", "measured", "budget", "of budget"], style: { head: [], border: [] } });
  let over = 0;
  const row = (what: string, value: number, budget: number, show: (value: number) => string) => {
    const share = value / budget;
    if (share > 1) over += 1;
    const colour = share > 1 ? pc.red : pc.green;
    table.push([what, show(value), show(budget), colour(`${Math.round(share * 100)} %`)]);
  };
  const kB = (bytes: number) => `${(bytes / 1000).toFixed(0)} kB`;
  const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;
  const times = (ratio: number) => `${ratio.toFixed(2)} ×`;
  for (const [name, { bytes, budgetBytes }] of Object.entries(zips)) row(`zip ${name}`, bytes, budgetBytes, kB);
  for (const [name, ratio] of Object.entries(importRatio))
    row(`import ${name} / its SDK clients`, ratio, IMPORT_BUDGET, times);
  row("evaluate the program", evaluateMs, EVALUATE_BUDGET_MS, seconds);
  row("start to first reply", startToReplyMs, REPLY_BUDGET_MS, seconds);
  console.log(table.toString());
  if (over > 0) console.log(pc.yellow(`${over} over budget. The budgets are for two cores with nothing else to do.`));
}
