import { setImmediate } from "node:timers/promises";
import Table from "cli-table3";
import { Argument, InvalidArgumentError, Option } from "commander";
import pc from "picocolors";
import { command, run } from "../local/command";
import { type SimulationResult, simulateBilling, type WrongRun } from "./billing";

/** Seeds are 32 bits, and each run has the next. */
const MOST = 1_000_000_000;
const SHOWN_WRONG_RUNS = 20;
const LINE_EVERY_MS = 10_000;
const CLEAR_LINE = "\r\x1b[2K";

interface Options {
  runs: number;
  seed: number;
  json?: boolean;
}

const program = command(
  "chaos",
  "Plays customers' stories to the code that syncs Stripe to a row, with everything that can go wrong on the way.",
)
  .addArgument(new Argument("<scenario>", "what is played").choices(["billing"]))
  .addOption(new Option("--runs <count>", "how many stories").default(20_000).argParser(wholeNumber(1)))
  .addOption(
    new Option("--seed <number>", "of the first story; each further one has the next")
      .default(1)
      .argParser(wholeNumber(0)),
  )
  .action(async (_scenario: string, { runs, seed, json }: Options) => {
    const wrongRuns: WrongRun[] = [];
    const traced: string[] = [];
    const result = await simulateBilling(
      {
        runs,
        seed,
        ...(runs === 1 && { trace: (line: string) => void traced.push(line) }),
        progress: json ? () => setImmediate() : reporter(runs),
      },
      (wrong) => {
        if (wrongRuns.length < SHOWN_WRONG_RUNS) wrongRuns.push(wrong);
      },
    );
    if (json) console.log(JSON.stringify(result));
    else print(result, wrongRuns, traced);
    if (result.wrong > 0) process.exitCode = 1;
  });

void run(program);

function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= MOST) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${MOST}.`);
  };
}

/** Says how far it is: in place on a terminal, elsewhere with a line now and then. */
function reporter(runs: number): (done: number, wrong: number) => Promise<void> {
  let lastLineAt = performance.now();
  return async (done, wrong) => {
    const text = pc.dim(`${done} of ${runs} runs, ${wrong} wrong …`);
    if (process.stdout.isTTY) process.stdout.write(`${CLEAR_LINE}${done < runs ? text : ""}`);
    else if (done < runs && performance.now() - lastLineAt > LINE_EVERY_MS) {
      lastLineAt = performance.now();
      console.log(text);
    }
    // Lets the terminal, and Ctrl-C, have their turn.
    await setImmediate();
  };
}

function print({ runs, wrong, staleRefused, weaker }: SimulationResult, wrongRuns: WrongRun[], traced: string[]): void {
  const table = new Table({ head: ["strategy", "wrong", "of runs"], style: { head: [], border: [] } });
  const row = (name: string, count: number, isGood: boolean) => {
    const share = `${((100 * count) / runs).toFixed(2)} %`;
    table.push([name, isGood ? pc.green(String(count)) : pc.red(String(count)), share]);
  };
  row("production: ticket, re-read, fenced write", wrong, wrong === 0);
  for (const [name, count] of Object.entries(weaker)) row(`weaker: ${name}`, count, false);
  if (wrong > 0) for (const traceLine of traced) console.log(pc.dim(traceLine));
  console.log(table.toString());
  console.log(`${runs} runs; the fence refused ${staleRefused} stale writes`);
  for (const { seed, at, expected, got } of wrongRuns) {
    console.log(pc.red(`wrong: --seed ${seed} --runs 1`));
    console.log(`  at ${at.toISOString()} Stripe gives ${show(expected)}, the row ${show(got)}`);
  }
  if (wrong > wrongRuns.length) console.log(`  … and ${wrong - wrongRuns.length} more`);
}

function show({ plan, reason, expiresAt }: WrongRun["expected"]): string {
  return `${plan} (${reason}, ${expiresAt ? `until ${expiresAt.toISOString()}` : "no end"})`;
}
