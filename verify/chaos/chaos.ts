import { setImmediate } from "node:timers/promises";
import { Argument, InvalidArgumentError, Option } from "commander";
import pc from "picocolors";
import { command, run } from "../../cli/command";
import { playBilling } from "./billing/report";
import type { Report } from "./report";
import { playRunpod } from "./runpod/report";

/** Seeds are 32 bits, and each run has the next. */
const MOST = 1_000_000_000;
const LINE_EVERY_MS = 10_000;
const CLEAR_LINE = "\r\x1b[2K";

/** What can be played. */
const scenarios = { billing: playBilling, runpod: playRunpod };
/** As many runs as each scenario's budget is for. */
const usualRuns: Record<keyof typeof scenarios, number> = { billing: 20_000, runpod: 1_000 };

interface Options {
  runs?: number;
  seed: number;
  json?: boolean;
}

const program = command(
  "chaos",
  "Plays stories to the code, with everything that can go wrong on the way: customers' to the code that syncs Stripe to a " +
    "row, stacks' to the RunPod provider.",
)
  .addArgument(new Argument("<scenario>", "what is played").choices(Object.keys(scenarios)))
  .addOption(
    new Option("--runs <count>", "how many stories (default: billing 20000, runpod 1000)").argParser(wholeNumber(1)),
  )
  .addOption(
    new Option("--seed <number>", "of the first story; each further one has the next")
      .default(1)
      .argParser(wholeNumber(0)),
  )
  .action(async (scenario: keyof typeof scenarios, { runs = usualRuns[scenario], seed, json }: Options) => {
    const traced: string[] = [];
    const report: Report = await scenarios[scenario]({
      runs,
      seed,
      ...(runs === 1 && { trace: (line: string) => void traced.push(line) }),
      progress: json ? () => setImmediate() : reporter(runs),
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
