import { spawn } from "node:child_process";
import pc from "picocolors";

/** Number of tests by outcome, and the reason of each skip. */
export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
  /** One line per reason, such as "16 tests: no Chromium found". */
  skipReasons: string[];
}

/** One command of a run. A step without a report counts as one test. */
export interface Step {
  name: string;
  command: string[];
  cwd?: string;
  /** Reads the counts from the report that the command wrote. */
  readReport?: () => Counts;
}

export interface StepResult extends Counts {
  name: string;
}

/** Totals of a run, in the shape of `npm test -- --json`. */
export interface Summary {
  passed: number;
  failed: number;
  skipped: number;
  failedSteps: string[];
  skips: { step: string; reason: string }[];
  /** Seconds since the command started. */
  seconds: number;
}

/**
 * Destination of the steps' output.
 *
 * - `inherit`: directly to the terminal. Use it only with one lane.
 * - `all`: the first lane's output immediately, and the output of any other step when that step ends.
 * - `failures`: one line per successful step, and the whole output of a failed step.
 */
export type Output = "inherit" | "all" | "failures";

/** Runs lanes of steps in parallel. The steps of one lane run in order. With `json`, all output goes to stderr. */
export async function runLanes(lanes: Step[][], output: Output, json = false): Promise<StepResult[]> {
  const results = await Promise.all(
    lanes.map(async (steps, lane) => {
      const done: StepResult[] = [];
      for (const step of steps) done.push(await runStep(step, output, lane === 0, json));
      return done;
    }),
  );
  return results.flat();
}

/** Reports a step that did not run. The step counts as one skipped test. */
export function skippedStep(name: string, reason: string): StepResult {
  console.error(pc.yellow(pc.bold(`SKIPPED: ${name}: ${reason}`)));
  return { name, passed: 0, failed: 0, skipped: 1, skipReasons: [reason] };
}

export function summarise(results: StepResult[]): Summary {
  const total = (key: "passed" | "failed" | "skipped") => results.reduce((sum, result) => sum + result[key], 0);
  return {
    passed: total("passed"),
    failed: total("failed"),
    skipped: total("skipped"),
    failedSteps: results.filter(({ failed }) => failed > 0).map(({ name }) => name),
    skips: results.flatMap(({ name, skipReasons }) => skipReasons.map((reason) => ({ step: name, reason }))),
    seconds: Number(process.uptime().toFixed(1)),
  };
}

/** Prints the counts on one line, and then the failed steps and the skips on a second line. */
export function printSummary({ passed, failed, skipped, failedSteps, skips }: Summary): void {
  console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
  const parts = [
    failedSteps.length > 0 && pc.red(`Failed: ${failedSteps.join(", ")}.`),
    skips.length > 0 && pc.yellow(`Skipped: ${skips.map(({ step, reason }) => `${step} (${reason})`).join("; ")}.`),
  ].filter((part) => part !== false);
  if (parts.length > 0) console.log(parts.join(" "));
}

async function runStep(step: Step, output: Output, streams: boolean, json: boolean): Promise<StepResult> {
  const startedAt = performance.now();
  const out = json ? process.stderr : process.stdout;
  let text = "";
  if (output === "all" && streams) out.write(pc.bold(`\n— ${step.name}\n`));
  const ok = await succeeds(step, output === "inherit" ? json : undefined, (chunk) => {
    if (output === "all" && streams) out.write(chunk);
    else text += chunk;
  });
  const counts = readCounts(step) ?? { passed: 0, failed: 0, skipped: 0, skipReasons: [] };
  if (ok && !step.readReport) counts.passed = 1;
  // A step may fail without a failed test, for example when it crashes on load.
  if (!ok && counts.failed === 0) counts.failed = 1;
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  if (output === "all" && !streams) out.write(`${pc.bold(`\n— ${step.name} (${seconds} s)`)}\n${text}`);
  if (output === "failures") {
    out.write(
      ok ? `${pc.green("✓")} ${step.name} ${pc.dim(`${seconds} s`)}\n` : `${pc.red("✗")} ${step.name}\n${text}`,
    );
  }
  return { name: step.name, ...counts };
}

/** Reads the counts of a step. Undefined when there is no report, or when the step ended before it wrote the report. */
function readCounts({ readReport }: Step): Counts | undefined {
  try {
    return readReport?.();
  } catch {
    return undefined;
  }
}

/**
 * Runs a command. Resolves to true when its exit status is 0. When `inheritAsJson` is undefined, the output goes to
 * `onText`; otherwise it goes to the terminal. When `inheritAsJson` is true, stdout also goes to stderr.
 */
function succeeds(step: Step, inheritAsJson: boolean | undefined, onText: (text: string) => void): Promise<boolean> {
  const [file = "", ...args] = step.command;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      ...(step.cwd && { cwd: step.cwd }),
      stdio:
        inheritAsJson === undefined
          ? ["ignore", "pipe", "pipe"]
          : ["inherit", inheritAsJson ? 2 : "inherit", "inherit"],
      env: { ...process.env, ...(pc.isColorSupported && { FORCE_COLOR: "1" }) },
    });
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8").on("data", onText);
    child.once("error", reject);
    child.once("close", (code) => resolve(code === 0));
  });
}
