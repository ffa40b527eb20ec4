import pc from "picocolors";
import { command, run } from "../../cli/command";
import { BudgetTable } from "./budgetTable";
import { benchProgram, type ProgramBench } from "./program";
import { benchWorker, type WorkerBench } from "./worker";

const IMPORT_BUDGET = 2.0;
const EVALUATE_BUDGET_MS = 4_000;
const REPLY_BUDGET_MS = 5_000;
const FIRST_TEXT_BUDGET_MS = 20;
const THROUGHPUT_BUDGET = 0.95;
const CACHE_BUDGET = 0.85;

const program = command("bench", "Measures sizes and times against their budgets.");

program
  .command("program", { isDefault: true })
  .description("the program: archives, imports, evaluation, start to first reply")
  .option("--json", "print one JSON object and nothing else")
  .action((options) => report(options, "measuring; this takes about a minute", benchProgram, printProgram));

program
  .command("worker")
  .description("the worker: what it adds to the engine's answers, and what the prefix cache has of its prompts")
  .option("--json", "print one JSON object and nothing else")
  .action((options) => report(options, "measuring; this takes about three minutes", benchWorker, printWorker));

void run(program);

/** Measures, then shows the result as the options ask. */
async function report<T>(
  options: { json?: boolean },
  hint: string,
  measure: (say: (line: string) => void) => Promise<T>,
  print: (result: T) => void,
): Promise<void> {
  const json = options.json ?? program.opts<{ json?: boolean }>().json;
  const say = (line: string) => void (json || console.log(pc.dim(`${line} …`)));
  say(hint);
  const result = await measure(say);
  if (json) console.log(JSON.stringify(result));
  else print(result);
}

function printProgram({ zips, importRatio, evaluateMs, startToReplyMs }: ProgramBench): void {
  const table = new BudgetTable();
  const kB = (bytes: number) => `${(bytes / 1000).toFixed(0)} kB`;
  const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;
  const times = (ratio: number) => `${ratio.toFixed(2)} ×`;
  for (const [name, { bytes, budgetBytes }] of Object.entries(zips))
    table.atMost(`zip ${name}`, bytes, budgetBytes, kB);
  for (const [name, ratio] of Object.entries(importRatio))
    table.atMost(`import ${name} / its SDK clients`, ratio, IMPORT_BUDGET, times);
  table.atMost("evaluate the program", evaluateMs, EVALUATE_BUDGET_MS, seconds);
  table.atMost("start to first reply", startToReplyMs, REPLY_BUDGET_MS, seconds);
  table.print();
}

function printWorker(result: WorkerBench): void {
  const table = new BudgetTable();
  const ms = (value: number) => `${value} ms`;
  const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
  for (const at of ["c1", "c8", "c32"] as const) {
    const many = `${at.slice(1)} at once`;
    table.atMost(`first text later than the engine's, ${many}`, result.firstTextDelayMs[at], FIRST_TEXT_BUDGET_MS, ms);
    table.fact("  the slowest twentieth", ms(result.firstTextDelayP95Ms[at]));
    const engine = `of ${result.engineTokensPerSecond[at]} tokens/s, ${many}`;
    if (at === "c32") table.atLeast(`throughput, ${engine}`, result.throughputRatio[at], THROUGHPUT_BUDGET, percent);
    else table.fact(`throughput, ${engine}`, percent(result.throughputRatio[at]));
  }
  table.fact("first text later, 32 in the same millisecond", ms(result.firstTextDelayAtOnceMs));
  table.fact("requests to RunPod per reply", String(result.postsPerReply));
  for (const [model, share] of Object.entries(result.cacheShare)) {
    table.atLeast(`prompt in the prefix cache, ${model}`, share.ours, CACHE_BUDGET, percent);
    table.fact("  counted by", share.tokenizer);
    table.fact("  with the official format", percent(share.official));
    table.fact("  with a change of greeting on the way", percent(share.oursAcrossTheHour));
    table.fact("  with what the model wrote", percent(share.oursWithGenerated));
  }
  table.print();
}
