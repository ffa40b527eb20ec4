import path from "node:path";
import pc from "picocolors";
import { command, run } from "../../cli/command";
import { Progress } from "../../cli/progress";
import { execute, findVenvPython, type PythonSetup, setupPython } from "../support/pythonEnvironment";

/** Result of a subcommand. `skipped` means that this machine has no Python for it. */
interface PythonOutcome {
  status: PythonSetup["status"] | "passed";
  detail: string;
}

const program = command("python", "Sets up, tests and checks the Python GPU worker on this machine.");
const progress = new Progress(process.stderr);
program
  .command("setup")
  .description("create .venv with the worker and its tools in it")
  .action(async () => report(await setup()));
program
  .command("test")
  .description("run the worker's tests")
  .option("--report <file>", "also write the results to this file, as JUnit XML")
  .action(async ({ report: file }: { report?: string }) =>
    report(await check([["pytest", "--quiet", ...(file ? [`--junit-xml=${path.resolve(file)}`] : [])]])),
  );
program
  .command("lint")
  .description("check the worker with ruff and mypy")
  .action(async () => report(await check([["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]])));
void run(program);

async function setup(): Promise<PythonSetup> {
  try {
    return await setupPython((line) => progress.step(`python: ${line}`), progress.activity);
  } finally {
    progress.clear();
  }
}

/** Runs tools of the worker's environment until one fails. Sets the environment up first. */
async function check(commands: string[][]): Promise<PythonOutcome> {
  const environment = await setup();
  const python = findVenvPython();
  if (!python) return environment;
  for (const args of commands) {
    const name = args.join(" ");
    progress.step(`python: ${name}`);
    if ((await execute(python, ["-m", ...args])) !== 0) return { status: "failed", detail: `${name} failed` };
  }
  return { status: "passed", detail: commands.map(([tool]) => tool).join(", ") };
}

/** Prints an outcome and sets the exit code. A skipped subcommand fails only when `REQUIRE_ALL=1`. */
function report(outcome: PythonOutcome): void {
  const failed = outcome.status === "failed" || (outcome.status === "skipped" && process.env.REQUIRE_ALL === "1");
  if (failed) process.exitCode = 1;
  if (program.opts<{ json?: boolean }>().json) {
    console.log(JSON.stringify(outcome));
  } else if (outcome.status === "skipped") {
    console.log(pc.bold(pc.yellow(`SKIPPED the Python worker: ${outcome.detail}`)));
  } else {
    console.log(failed ? pc.red(`failed: ${outcome.detail}`) : pc.green(`${outcome.status}: ${outcome.detail}`));
  }
}
