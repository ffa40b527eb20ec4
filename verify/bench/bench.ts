import pc from "picocolors";
import { command, run } from "../../cli/command";
import { BudgetTable } from "./budgetTable";
import { benchProgram, type ProgramBench } from "./program";
import { benchWorker, type WorkerBench } from "./worker";

const IMPORT_BUDGET = 2.0;
/** Largest allowed CPU time of a preview, divided by the CPU time of an import of Pulumi's SDK. */
const EVALUATE_BUDGET = 5;
/** Largest allowed time from `npm start` to the first reply, divided by the time of an import of Pulumi's SDK. */
const REPLY_BUDGET = 8;
const REPLY_BUDGET_MS = 5_000;
const FIRST_TEXT_BUDGET_MS = 20;
const THROUGHPUT_BUDGET = 0.95;
const CACHE_BUDGET = 0.85;

const program = command(
  "bench",
  "Measures sizes and times and compares them with their budgets. Exits with status 1 when one is exceeded.",
);

program
  .command("program", { isDefault: true })
  .description("measures the program: archives, imports, a preview, npm start until the first reply")
  .option("--json", "print one JSON object and nothing else")
  .addHelpText(
    "after",
    `
zips                size of each function's archive
importRatio         time to import a function's bundle, divided by the time to import only its SDK clients
evaluateCpuRatio    CPU time of a preview (the program and the server of dynamic resources), in units
startCpuRatio       CPU time of npm start and all its processes until the first reply, in units
startToReplyRatio   wall-clock time of npm start until the first reply, in units
evaluateMs          wall-clock time of a preview
startToReplyMs      wall-clock time of npm start until the first reply

One unit is the time of a process that only imports @pulumi/pulumi and @pulumi/aws. Every ratio is the median of several
rounds, and each round measures both processes.
Exits with status 1 when a budget is exceeded, also with --json. The budgets are for two otherwise idle cores.`,
  )
  .action((options) => report(options, "measuring; this takes about two minutes", benchProgram, programTable));

program
  .command("worker")
  .description(
    "measures the worker: delay and throughput compared with direct calls of the engine, share of prompts in the prefix cache",
  )
  .option("--json", "print one JSON object and nothing else")
  .addHelpText("after", "\nExits with status 1 when a budget is exceeded, also with --json.")
  .action((options) => report(options, "measuring; this takes about three minutes", benchWorker, workerTable));

void run(program);

/** Measures, then prints the result as a table or as JSON. Sets exit status 1 when a value is over its budget. */
async function report<T>(
  options: { json?: boolean },
  hint: string,
  measure: (say: (line: string) => void) => Promise<T>,
  tabulate: (result: T) => BudgetTable,
): Promise<void> {
  const json = options.json ?? program.opts<{ json?: boolean }>().json;
  const say = (line: string) => void (json || console.log(pc.dim(`${line} …`)));
  say(hint);
  const result = await measure(say);
  const table = tabulate(result);
  if (json) console.log(JSON.stringify(result));
  else table.print();
  if (table.isOver) process.exitCode = 1;
}

function programTable(result: ProgramBench): BudgetTable {
  const table = new BudgetTable();
  const kB = (bytes: number) => `${(bytes / 1000).toFixed(0)} kB`;
  const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;
  const times = (ratio: number) => `${ratio.toFixed(2)} ×`;
  for (const [name, { bytes, budgetBytes }] of Object.entries(result.zips))
    table.atMost(`zip ${name}`, bytes, budgetBytes, kB);
  for (const [name, ratio] of Object.entries(result.importRatio))
    table.atMost(`import ${name} / its SDK clients`, ratio, IMPORT_BUDGET, times);
  table.atMost("evaluate the program, CPU / import of the SDK", result.evaluateCpuRatio, EVALUATE_BUDGET, times);
  table.fact("evaluate the program", seconds(result.evaluateMs));
  table.fact("start to first reply, CPU / import of the SDK", times(result.startCpuRatio));
  table.atMost("start to first reply / import of the SDK", result.startToReplyRatio, REPLY_BUDGET, times);
  table.atMost("start to first reply", result.startToReplyMs, REPLY_BUDGET_MS, seconds);
  return table;
}

function workerTable(result: WorkerBench): BudgetTable {
  const table = new BudgetTable();
  const ms = (value: number) => `${value} ms`;
  const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
  for (const at of ["c1", "c8", "c32"] as const) {
    const many = `${at.slice(1)} clients`;
    table.atMost(`delay of the first text, ${many}`, result.firstTextDelayMs[at], FIRST_TEXT_BUDGET_MS, ms);
    table.fact("  95th percentile", ms(result.firstTextDelayP95Ms[at]));
    const engine = `share of the engine's ${result.engineTokensPerSecond[at]} tokens/s, ${many}`;
    if (at === "c32") table.atLeast(`throughput, ${engine}`, result.throughputRatio[at], THROUGHPUT_BUDGET, percent);
    else table.fact(`throughput, ${engine}`, percent(result.throughputRatio[at]));
  }
  table.fact("delay of the first text, 32 requests in the same millisecond", ms(result.firstTextDelayAtOnceMs));
  table.fact("requests to RunPod per reply", String(result.postsPerReply));
  for (const [model, share] of Object.entries(result.cacheShare)) {
    table.atLeast(`prompt in the prefix cache, ${model}`, share.ours, CACHE_BUDGET, percent);
    table.fact("  tokenizer", share.tokenizer);
    table.fact("  with the official prompt format", percent(share.official));
    table.fact("  with another greeting from the middle of the chat", percent(share.oursAcrossTheHour));
    table.fact("  with the model's replies cached", percent(share.oursWithGenerated));
  }
  return table;
}
