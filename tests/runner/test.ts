import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import pc from "picocolors";
import { command, run } from "../../cli/command";
import { Progress } from "../../cli/progress";
import { CALLS_FOLDER } from "../../local/aws/iam/callRecord";
import { findVenvPython, pythonPackageNames, pythonPackages, setupPython } from "../../local/support/pythonEnvironment";
import { cpuObstacle } from "../../verify/images/cpuObstacle";
import { setUpSchemathesis } from "../../verify/openapi/schemathesis";
import { callsReport, clearReports, countPytest, pytestReport } from "./reports";
import { pytestArguments, type Selection, selectTests, vitestArguments } from "./selection";
import { printSummary, runLanes, type Step, type StepResult, skippedStep, summarise } from "./steps";
import {
  generatedRequestsStep,
  imagesStep,
  lintStep,
  openApiStep,
  privilegesStep,
  typesStep,
  unusedStep,
  vitestStep,
  workerSteps,
} from "./suite";

interface Options {
  watch?: boolean;
  python: boolean;
  json?: boolean;
}

const program = command("test", "Runs every check and every test, or only the tests that match.")
  .argument("[files or words...]", "part of a test file's path, or words of a test's name (all must be in it)")
  .option("--watch", "run the matching tests again after every change (TypeScript tests only)")
  .option("--no-python", "skip the worker's tests, and do not set up its Python environment")
  .addHelpText(
    "after",
    `
Examples:
  npm test                                      everything
  npm test -- checkout                          test files with "checkout" in their path
  npm test -- tests/billing/checkout.test.ts    one file
  npm test -- "expired ticket"                  tests whose name has both words, in TypeScript and Python
  npm test -- --watch checkout                  again after every change

The last lines give the counts, each failed step, and each skip with its reason. With --json they are
{passed, failed, skipped, failedSteps, skips: [{step, reason}], seconds}.
With REQUIRE_ALL=1 a skip is a failure. For a check in under a minute see npm run check.`,
  )
  .action(async (args: string[], options: Options) => {
    clearReports();
    if (options.watch) {
      watch(args);
      return;
    }
    const results = args.length > 0 ? await runSelected(args, options) : await runAll(options);
    const summary = summarise(results);
    const mustNotSkip = process.env.REQUIRE_ALL === "1" && summary.skipped > 0;
    if (mustNotSkip) console.error(pc.red(`${summary.skipped} skipped: REQUIRE_ALL=1 allows no skip.`));
    if (options.json) console.log(JSON.stringify(summary));
    else printSummary(summary);
    process.exitCode = summary.failed > 0 || mustNotSkip ? 1 : 0;
  });

void run(program);

async function runAll({ json, python }: Options): Promise<StepResult[]> {
  const results: StepResult[] = [];
  const others: Step[] = [lintStep, unusedStep, typesStep, openApiStep];

  // The other tests run the real worker only when its environment exists, so set up the environment first.
  const missing = await setUpWorker(python);
  if (!missing) others.push(...workerSteps);
  else for (const { name } of workerSteps) results.push(notRun(name, missing));

  const tool = python ? await setUpSchemathesis((line) => console.error(line)) : { missing: "--no-python" };
  if ("missing" in tool) results.push(skippedStep(generatedRequestsStep.name, tool.missing));
  else others.push(generatedRequestsStep);

  const obstacle = cpuObstacle();
  if (obstacle) results.push(skippedStep(imagesStep.name, obstacle));
  else others.push(imagesStep);
  process.env[CALLS_FOLDER] = resolve(callsReport);
  results.push(...(await runLanes([[vitestStep("tests")], others], "all", json)));
  delete process.env[CALLS_FOLDER];
  return [...results, ...(await runLanes([[privilegesStep]], "all", json))];
}

async function runSelected(args: string[], { json, python }: Options): Promise<StepResult[]> {
  const selection = selectTests(args);
  const results: StepResult[] = [];
  const steps: Step[] = [];
  if (selection.vitest) {
    steps.push(vitestStep("tests", vitestArguments(selection.vitest), selection.vitest.words));
  }
  if (selection.pytest) {
    const missing = await setUpWorker(python);
    if (missing) results.push(notRun("Python tests", missing));
    else steps.push(...pytestSteps(selection.pytest));
  }
  results.push(...(await runLanes([steps], "inherit", json)));
  if (results.every(({ passed, failed, skipped }) => passed + failed + skipped === 0)) {
    throw new Error(`No test matches ${args.join(" ")}.`);
  }
  return results;
}

/** Returns a step for each package with selected tests. */
function pytestSteps(selection: Selection): Step[] {
  return pythonPackageNames.flatMap((name): Step[] => {
    const folder = pythonPackages[name];
    const args = pytestArguments(selection, folder);
    if (!args) return [];
    const report = pytestReport(name);
    const junit = `--junit-xml=${process.cwd()}/${report}`;
    const command = [findVenvPython() ?? "python3", "-m", "pytest", "--quiet", junit, ...args];
    return [{ name: `${name}: tests`, command, cwd: folder, readReport: () => countPytest(report) }];
  });
}

/**
 * Sets up the worker's environment. Returns undefined when the environment is ready. Otherwise returns the reason, and
 * whether the reason is an error.
 */
async function setUpWorker(wanted: boolean): Promise<{ reason: string; isError: boolean } | undefined> {
  if (!wanted) return { reason: "--no-python", isError: false };
  const progress = new Progress(process.stderr);
  const { status, detail } = await setupPython(progress.step, progress.activity);
  progress.clear();
  return status === "ready" ? undefined : { reason: detail, isError: status === "failed" };
}

function notRun(name: string, { reason, isError }: { reason: string; isError: boolean }): StepResult {
  if (!isError) return skippedStep(name, reason);
  console.error(pc.red(`FAILED: ${name}: ${reason}`));
  return { name, passed: 0, failed: 1, skipped: 0, skipReasons: [] };
}

function watch(args: string[]): void {
  const { vitest } = args.length > 0 ? selectTests(args) : { vitest: { files: [], words: [] } };
  if (!vitest) throw new Error("--watch runs only TypeScript tests, and no TypeScript test matches.");
  process.exitCode = spawnSync("vitest", ["watch", ...vitestArguments(vitest)], { stdio: "inherit" }).status ?? 1;
}
