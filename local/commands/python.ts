import path from "node:path";
import { Option } from "commander";
import pc from "picocolors";
import { command, run } from "../../cli/command";
import { Progress } from "../../cli/progress";
import { root } from "../../cli/root";
import {
  execute,
  findVenvPython,
  type PythonPackage,
  type PythonSetup,
  pythonPackageNames,
  pythonPackages,
  setupPython,
} from "../support/pythonEnvironment";

/** Result of a subcommand. `skipped` means that this machine has no Python for it. */
interface PythonOutcome {
  status: PythonSetup["status"] | "passed";
  detail: string;
}

const program = command("python", "Sets up, tests and checks the Python packages: the GPU worker and the training.");
const progress = new Progress(process.stderr);
program
  .command("setup")
  .description("create .venv and install the worker and its tools")
  .action(async () => report(await setup()));
program
  .command("test")
  .description("run the tests of the packages")
  .addOption(new Option("--package <name>", "only this package").choices(pythonPackageNames))
  .option("--report <file>", "also write the results to this file, as JUnit XML; needs --package")
  .action(async ({ package: name, report: file }: { package?: PythonPackage; report?: string }) => {
    if (file && !name) throw new Error("--report needs --package: each package has a separate report");
    const junit = file ? [`--junit-xml=${path.resolve(file)}`] : [];
    report(await check([["pytest", "--quiet", ...junit]], name ? [name] : pythonPackageNames));
  });
program
  .command("lint")
  .description("check the packages with ruff and mypy")
  .action(async () =>
    report(await check([["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]], pythonPackageNames)),
  );
void run(program);

async function setup(): Promise<PythonSetup> {
  try {
    return await setupPython((line) => progress.step(`python: ${line}`), progress.activity);
  } finally {
    progress.clear();
  }
}

/** Runs tools of the worker's environment on packages until one fails. Sets the environment up first. */
async function check(commands: string[][], names: PythonPackage[]): Promise<PythonOutcome> {
  const environment = await setup();
  const python = findVenvPython();
  if (!python) return environment;
  for (const name of names) {
    for (const args of commands) {
      const tool = `${args.join(" ")} in ${pythonPackages[name]}`;
      progress.step(`python: ${tool}`);
      const code = await execute(python, ["-m", ...args], path.join(root, pythonPackages[name]));
      if (code !== 0) return { status: "failed", detail: `${tool} failed` };
    }
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
