import pc from "picocolors";
import { command, run } from "../../cli/command";
import { lintPython, type PythonOutcome, setupPython, testPython } from "../support/pythonEnvironment";

const program = command("python", "The Python GPU worker on this machine.");
const progress = (line: string): void => void process.stderr.write(`${pc.dim("python:")} ${line}\n`);
const finish = (outcome: PythonOutcome): void => report(outcome, program.opts<{ json?: boolean }>().json ?? false);
program
  .command("setup")
  .description("make .venv with the worker in it")
  .action(async () => finish(await setupPython(progress)));
program
  .command("test")
  .description("run the worker's tests")
  .option("--report <file>", "write the results there as JUnit XML too")
  .action(async (options: { report?: string }) => finish(await testPython(progress, options.report)));
program
  .command("lint")
  .description("check the worker with ruff and mypy")
  .action(async () => finish(await lintPython(progress)));
void run(program);

/** Shows an outcome and sets the exit code: a skip fails only where `REQUIRE_ALL=1` asks for everything. */
function report(outcome: PythonOutcome, json: boolean): void {
  const failed = outcome.status === "failed" || (outcome.status === "skipped" && process.env.REQUIRE_ALL === "1");
  if (failed) process.exitCode = 1;
  if (json) {
    console.log(JSON.stringify(outcome));
  } else if (outcome.status === "skipped") {
    console.log(pc.bold(pc.yellow(`SKIPPED the Python worker: ${outcome.detail}`)));
  } else {
    console.log(failed ? pc.red(`failed: ${outcome.detail}`) : pc.green(`${outcome.status}: ${outcome.detail}`));
  }
}
