import pc from "picocolors";
import { command, run } from "../../cli/command";
import { BudgetTable } from "./budgetTable";
import { benchDouble, type DoubleBench } from "./double";
import { benchProgram, type ProgramBench } from "./program";
import { benchRelay, type RelayBench } from "./relay";
import { benchWorker, type WorkerBench } from "./worker";

const IMPORT_BUDGET = 2.0;
/** Maximum CPU time of a preview, divided by the CPU time of importing Pulumi's SDK. */
const EVALUATE_BUDGET = 5;
/** Maximum time from `npm start` to the first reply, divided by the time of importing Pulumi's SDK. */
const REPLY_BUDGET = 8;
const REPLY_BUDGET_MS = 5_000;
/** Maximum time of a purchase at the Stripe double with 10,000 events, divided by the time with 100 events. */
const DOUBLE_BUDGET = 2;
const FIRST_TEXT_BUDGET_MS = 20;
const THROUGHPUT_BUDGET = 0.95;
const CACHE_BUDGET = 0.85;
const REFUSED_CPU_BUDGET_MS = 10;
/**
 * Maximum time that the relay adds to the first text, minimum share of the throughput of direct calls, and maximum zip
 * sizes.
 */
const RELAY_BUDGET = { overheadMs: { p50: 1, p95: 3 }, throughput: 0.99, zipBytes: 450_000, runpodZipBytes: 120_000 };

const program = command(
  "bench",
  "Measures sizes and times and compares them with their budgets. Exits with status 1 when a value exceeds its budget.",
);

program
  .command("program", { isDefault: true })
  .description("measures the program: archives, imports, a preview, npm start until the first reply")
  .option("--json", "print one JSON object and nothing else")
  .addHelpText(
    "after",
    `
client              size that the client adds to a frontend's bundle: minified by Vite's minifier, gzip
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
    "measures the worker: delay and throughput in comparison with direct calls of the engine, share of prompts in the prefix cache",
  )
  .option("--json", "print one JSON object and nothing else")
  .addHelpText("after", "\nExits with status 1 when a budget is exceeded, also with --json.")
  .action((options) => report(options, "measuring; this takes about three minutes", benchWorker, workerTable));

program
  .command("relay")
  .description(
    "measures the relay's delay of the first text and its throughput, and compares it with LiteLLM's proxy and Portkey's gateway",
  )
  .option("--json", "print one JSON object and nothing else")
  .addHelpText(
    "after",
    `
overheadMs          time to the first text through the relay, minus the time of a direct call to the same upstream
afterPauseMs        the same time when each request follows a pause of 20 ms, in which the cores sleep; without a budget
litellm, portkey    overheadMs of LiteLLM's proxy and Portkey's gateway; null for a gateway that could not be measured
throughputRatio64   tokens per second of 64 concurrent clients through the relay, divided by the result of direct calls
admissionMs         time of the two conditional writes that admit a VIP's chat, measured with dynalite on this machine
directMs            time to the first text of a direct call
importMs            time to import the relay's bundle, and the bundle of each external LLM, in a fresh process
zipBytes            zipped size of the relay with the bundles of all external LLMs
runpodZipBytes      zipped size of the bundle that a chat on RunPod loads

overheadMs contains the ticket's verification, the usage rules and the OpenAI SDK, with the tables in memory. It does
NOT contain DynamoDB: a real chat also waits for admissionMs, over DynamoDB's network. It does not contain Lambda's own
network either. Each server is a single process on this machine, without a database. LiteLLM verifies a key. Portkey
verifies no key. Portkey's code waits 25 ms before it forwards the first piece of a stream.

Each value is the median of the rounds in one run. In a round, the servers answer in random order. Each server answers
one request after another for half a second, so that its process and the cores are awake. In Lambda a chat follows a
pause, as in afterPauseMs. The upstream sends without pauses when the first text is measured, and at the pace of a GPU
when the throughput is measured.

The first run installs LiteLLM (Python 3.11 to 3.14) and Portkey into .build/bench/: 0.8 GB. If a gateway cannot be
installed, the command measures the remaining servers. With REQUIRE_ALL=1 the command fails.
Exits with status 1 when a budget is exceeded, also with --json. The budgets are for two otherwise idle cores.`,
  )
  .action((options) => report(options, "measuring; this takes about three minutes", benchRelay, relayTable));

program
  .command("double")
  .description(
    "measures a purchase at the Stripe double with a small state, and with a state that is a hundred times larger",
  )
  .option("--json", "print one JSON object and nothing else")
  .addHelpText("after", "\nExits with status 1 when the budget is exceeded, also with --json.")
  .action((options) => report(options, "measuring; this takes about a minute", benchDouble, doubleTable));

void run(program);

/** Measures, then prints the result as a table or as JSON. Sets exit status 1 when a value exceeds its budget. */
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
  table.atMost("client, minified, gzip", result.client.bytes, result.client.budgetBytes, (bytes) => `${bytes} bytes`);
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
  const atOnce = "delay of the first text, 32 requests in the same millisecond";
  table.atMost(atOnce, result.firstTextDelayAtOnceMs, FIRST_TEXT_BUDGET_MS, ms);
  for (const [kind, cpuMs] of Object.entries(result.refusedCpuMs))
    table.atMost(`CPU of a refused job, ${kind}`, cpuMs, REFUSED_CPU_BUDGET_MS, ms);
  table.fact("requests to RunPod per reply", String(result.postsPerReply));
  for (const [model, share] of Object.entries(result.cacheShare)) {
    table.atLeast(`prompt in the prefix cache, ${model}`, share.ours, CACHE_BUDGET, percent);
    table.fact("  tokenizer", share.tokenizer);
    table.fact("  with the official prompt format", percent(share.official));
    table.fact("  when the greeting changes in the middle of the chat", percent(share.oursAcrossTheHour));
    table.fact("  when the cache also contains the model's replies", percent(share.oursWithGenerated));
  }
  return table;
}

function doubleTable({ checkoutMsAt, ratio }: DoubleBench): BudgetTable {
  const table = new BudgetTable();
  table.fact("purchase at 100 events", `${checkoutMsAt.events100} ms`);
  table.fact("purchase at 10,000 events", `${checkoutMsAt.events10000} ms`);
  table.atMost("ratio of the two purchases", ratio, DOUBLE_BUDGET, (value) => `${value.toFixed(2)} ×`);
  return table;
}

function relayTable(result: RelayBench): BudgetTable {
  const table = new BudgetTable();
  const ms = (value: number) => `${value} ms`;
  const kB = (bytes: number) => `${(bytes / 1000).toFixed(0)} kB`;
  const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
  const { overheadMs, admissionMs, directMs } = result;
  table.fact("first text of a direct call, p50", ms(directMs.p50));
  for (const at of ["p50", "p95"] as const) {
    table.atMost(`added to the first text, ${at}`, overheadMs[at], RELAY_BUDGET.overheadMs[at], ms);
    for (const [name, gateway] of Object.entries({ LiteLLM: result.litellm, Portkey: result.portkey })) {
      if (gateway) table.atMost(`  compared with ${name}`, overheadMs[at], gateway[at], ms);
      else table.fact(`  compared with ${name}`, "not measured");
    }
  }
  table.fact("added to the first text after a pause, p50", ms(result.afterPauseMs.p50));
  table.fact("  p95", ms(result.afterPauseMs.p95));
  const throughput = "throughput of 64 clients, share of direct calls";
  table.atLeast(throughput, result.throughputRatio64, RELAY_BUDGET.throughput, percent);
  table.fact("admission with dynalite, not included above, p50", ms(admissionMs.p50));
  table.fact("  p95", ms(admissionMs.p95));
  table.atMost("zip, all external LLMs", result.zipBytes, RELAY_BUDGET.zipBytes, kB);
  table.atMost("zip, part that a chat on RunPod loads", result.runpodZipBytes, RELAY_BUDGET.runpodZipBytes, kB);
  for (const [name, time] of Object.entries(result.importMs)) table.fact(`import ${name}`, ms(time));
  return table;
}
