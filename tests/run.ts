import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import pc from "picocolors";
import { command, run } from "../cli/command";
import { setupPython } from "../local/support/pythonEnvironment";
import { cpuObstacle } from "../verify/images/machine";

/** How many tests a step ran, and how they ended. */
interface Count {
  passed: number;
  failed: number;
  skipped: number;
}

/** One step of `npm test`: a command, and where its counts are; a step without counts is one test by itself. */
interface Step {
  name: string;
  command: string[];
  count?: () => Count;
}

const reports = ".build/reports";
const vitestReport = `${reports}/vitest.json`;
const pytestReport = `${reports}/pytest.xml`;

const steps: Step[] = [
  { name: "lint and format", command: ["biome", "ci", "--error-on-warnings", "."] },
  { name: "unused code", command: ["knip"] },
  { name: "types", command: ["tsc", "--noEmit"] },
  {
    name: "tests",
    command: ["vitest", "run", "--reporter=default", "--reporter=json", `--outputFile.json=${vitestReport}`],
    count: countVitest,
  },
];

const pythonSteps: Step[] = [
  { name: "worker: lint and types", command: ["npm", "run", "--silent", "python", "--", "lint"] },
  {
    name: "worker: tests",
    command: ["npm", "run", "--silent", "python", "--", "test", "--report", pytestReport],
    count: countPytest,
  },
  {
    name: "the whole flow, answered by a real small model",
    command: ["npm", "run", "--silent", "smoke", "--", "--engine", "llama"],
  },
];

const imagesStep: Step = {
  name: "worker images: built and started",
  command: ["npm", "run", "--silent", "images:build", "--", "--cpu"],
};

const program = command("test", "Runs every check and every test of the repository, and counts them.").action(
  async ({ json }: { json?: boolean }) => {
    rmSync(reports, { recursive: true, force: true });
    mkdirSync(reports, { recursive: true });
    const required = process.env.REQUIRE_ALL === "1";
    const total: Count = { passed: 0, failed: 0, skipped: 0 };
    const add = (count: Count) => {
      for (const key of ["passed", "failed", "skipped"] as const) total[key] += count[key];
    };

    // First: with the worker's environment there, the other tests run the real worker.
    const python = await setupPython((line) => console.error(pc.dim(line)));
    if (python.status === "ready") {
      for (const step of pythonSteps) add(await runStep(step, json));
    } else {
      console.error(pc.yellow(pc.bold(`SKIPPED: the Python worker's checks and tests. ${python.detail}.`)));
      add({ passed: 0, failed: python.status === "failed" ? 1 : 0, skipped: pythonSteps.length });
    }
    for (const step of steps) add(await runStep(step, json));

    const obstacle = cpuObstacle();
    if (obstacle) {
      console.error(pc.yellow(pc.bold(`SKIPPED: building and starting the workers' images: ${obstacle}.`)));
      add({ passed: 0, failed: 0, skipped: 1 });
    } else {
      add(await runStep(imagesStep, json));
    }

    if (required && total.skipped > 0) {
      console.error(pc.red(`${total.skipped} skipped, and REQUIRE_ALL=1 allows none.`));
    }
    console.log(
      json ? JSON.stringify(total) : `${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`,
    );
    process.exitCode = total.failed > 0 || (required && total.skipped > 0) ? 1 : 0;
  },
);

void run(program);

async function runStep(step: Step, quiet?: boolean): Promise<Count> {
  if (!quiet) console.log(pc.bold(`\n— ${step.name}`));
  const ok = await succeeds(step.command, quiet);
  const count = counted(step) ?? { passed: 0, failed: 0, skipped: 0 };
  // A step that fails without a failed test, such as a crash on load, must not be lost.
  if (ok && !step.count) count.passed = 1;
  if (!ok && count.failed === 0) count.failed = 1;
  return count;
}

/** What the step reported; undefined when it has no report, or ended before it wrote one. */
function counted({ count }: Step): Count | undefined {
  try {
    return count?.();
  } catch {
    return undefined;
  }
}

function succeeds([file = "", ...args]: string[], quiet?: boolean): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      stdio: ["ignore", quiet ? 2 : "inherit", "inherit"],
    });
    child.once("error", reject);
    child.once("close", (code) => resolve(code === 0));
  });
}

function countVitest(): Count {
  const report = JSON.parse(readFileSync(vitestReport, "utf8")) as Record<string, number>;
  const { numPassedTests = 0, numFailedTests = 0, numPendingTests = 0, numTodoTests = 0 } = report;
  return { passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests + numTodoTests };
}

function countPytest(): Count {
  const [suite = ""] = /<testsuite [^>]*>/.exec(readFileSync(pytestReport, "utf8")) ?? [];
  const read = (name: string) => Number(new RegExp(` ${name}="(\\d+)"`).exec(suite)?.[1] ?? 0);
  const failed = read("failures") + read("errors");
  const skipped = read("skipped");
  return { passed: read("tests") - failed - skipped, failed, skipped };
}
