import { setImmediate } from "node:timers/promises";
import { Argument, InvalidArgumentError, Option } from "commander";
import pc from "picocolors";
import { command, run } from "../../cli/command";
import { reportBilling } from "./billing/report";
import type { Report } from "./report";
import { reportRunpod } from "./runpod/report";

/**
 * Largest seed and number of runs. Each run uses the next seed, and the random generator accepts seeds of up to 32
 * bits.
 */
const MAX_NUMBER = 1_000_000_000;
const LINE_EVERY_MS = 10_000;
const CLEAR_LINE = "\r\x1b[2K";

const simulations = { billing: reportBilling, runpod: reportRunpod };
/** Number of runs for which the time budget of each simulation is defined. */
const defaultRuns: Record<keyof typeof simulations, number> = { billing: 20_000, runpod: 1_000 };

interface Options {
  runs?: number;
  seed: number;
  json?: boolean;
}

const program = command(
  "chaos",
  "Simulates random failures and checks the final state. billing: the sync from Stripe to a customer's row, with late, " +
    "duplicate, replayed and lost events, declined payments, crashes, outages and replaced keys. runpod: the RunPod " +
    "provider, with failing and late calls, lost answers, outdated lists, concurrent updates, the end of GraphQL and " +
    "lost state. Exits with status 1 when a run ends in a wrong state.",
)
  .addArgument(new Argument("<simulation>", "code under test").choices(Object.keys(simulations)))
  .addOption(
    new Option("--runs <count>", "number of runs (default: billing 20000, runpod 1000)").argParser(wholeNumber(1)),
  )
  .addOption(
    new Option("--seed <number>", "seed of the first run; each further run uses the next number")
      .default(1)
      .argParser(wholeNumber(0)),
  )
  .addHelpText("after", "\nTo see every event of a wrong run, repeat the run: --seed <seed of the run> --runs 1")
  .action(async (simulation: keyof typeof simulations, { runs = defaultRuns[simulation], seed, json }: Options) => {
    const traced: string[] = [];
    const report: Report = await simulations[simulation]({
      runs,
      seed,
      ...(runs === 1 && { trace: (line: string) => void traced.push(line) }),
      progress: json ? () => setImmediate() : progressPrinter(runs),
    });
    if (json) {
      console.log(JSON.stringify(report.result));
    } else {
      if (report.failed) for (const line of traced) console.log(pc.dim(line));
      for (const line of report.lines()) console.log(line);
    }
    if (report.failed) process.exitCode = 1;
  });

void run(program);

function wholeNumber(min: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= MAX_NUMBER) return value;
    throw new InvalidArgumentError(`Allowed: a whole number from ${min} to ${MAX_NUMBER}.`);
  };
}

/**
 * Returns a function that updates one line on a terminal. Without a terminal, the function prints a new line every ten
 * seconds.
 */
function progressPrinter(runs: number): (done: number, wrong: number) => Promise<void> {
  let lastLineAt = performance.now();
  return async (done, wrong) => {
    const text = pc.dim(`${done} of ${runs} runs, ${wrong} wrong …`);
    if (process.stdout.isTTY) process.stdout.write(`${CLEAR_LINE}${done < runs ? text : ""}`);
    else if (done < runs && performance.now() - lastLineAt > LINE_EVERY_MS) {
      lastLineAt = performance.now();
      console.log(text);
    }
    // Lets the event loop write to the terminal and handle Ctrl-C.
    await setImmediate();
  };
}
