import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Table from "cli-table3";
import { command, run } from "../../cli/command";
import { Progress } from "../../cli/progress";
import { models } from "../../contract/plan";
import { CALLS_FOLDER, readCalls } from "../../local/aws/iam/callRecord";
import { evaluateStack } from "../../local/cloud/stackCloud";
import type { ResourceState } from "../../local/pulumi/state";
import { browserKeyOf, START_STACK } from "../../names";
import { type Comparison, compare, isClean } from "./compare";
import { deployerPolicy, previewPolicy } from "./deployerPolicy";
import { grantsOf } from "./grants";
import { suites } from "./suites";

interface Options {
  recorded?: string;
  deployer?: true;
  preview?: true;
  stack: string;
  account: string;
  json?: true;
}

const program = command(
  "privileges",
  "Compares the policy of every function and schedule with the AWS calls that it makes in the tests. With --deployer: prints the policy of a role that deploys a stack.",
)
  .option("--recorded <folder>", "compare with this record of an earlier test run instead of running the tests")
  .option("--deployer", "print the policy for pulumi up, refresh and destroy")
  .option("--preview", "print the policy for pulumi preview, which only reads")
  .option("--stack <name>", "stack of the printed policy", "dev")
  .option("--account <id>", "AWS account of the printed policy", "<account>")
  .addHelpText(
    "after",
    `
A test run records the calls when AWS_CALLS_FOLDER names a folder: npm test does so and compares at its end.
The comparison is {functions, missing, unused, wildcards}: calls without permission, permissions without a call, and
permissions with a *, each with its reason. Exit status 1 when a call or a permission has no counterpart, or a wildcard
has no reason.`,
  )
  .action(async ({ deployer, preview, stack, account, recorded, json }: Options) => {
    const progress = new Progress(process.stderr);
    if (deployer || preview) {
      progress.step(`Evaluating the program of ${stack} …`);
      const policy = await policyFor(stack, account, preview ? previewPolicy : deployerPolicy);
      progress.clear();
      console.log(JSON.stringify(policy, undefined, json ? undefined : 2));
      return;
    }
    const calls = recorded ? readCalls(recorded) : recordCalls(progress);
    progress.step("Evaluating the program …");
    const found = compare(grantsOf(await evaluateStack({ stack: START_STACK }, everySetting), START_STACK), calls);
    progress.clear();
    if (json) console.log(JSON.stringify(found));
    else print(found);
    process.exitCode = isClean(found) ? 0 : 1;
  });

/** Settings with which the program has every permission that a configuration can give it. */
const everySetting = Object.fromEntries(models.map((model) => [browserKeyOf(model), `browser-key-of-${model}`]));

void run(program);

/** Runs the test files that use every permission. */
function recordCalls(progress: Progress) {
  const folder = mkdtempSync(join(tmpdir(), "snack-misaki-calls-"));
  try {
    progress.step(`Running ${suites.length} test files, which takes some minutes …`);
    const { status } = spawnSync("vitest", ["run", ...suites], {
      stdio: ["ignore", 2, 2],
      env: { ...process.env, [CALLS_FOLDER]: folder },
    });
    if (status !== 0) throw new Error("The tests failed, so the record of their calls is not complete.");
    return readCalls(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function policyFor(stack: string, accountId: string, policyOf: typeof deployerPolicy) {
  const resources = await evaluateStack({ stack });
  return policyOf(customTypes(resources), { partition: "aws", stack, region: regionOf(resources), accountId });
}

function customTypes(resources: readonly ResourceState[]): string[] {
  return resources.filter(({ custom }) => custom).map(({ type }) => type);
}

function regionOf(resources: readonly ResourceState[]): string {
  const table = resources.find(({ type }) => type === "aws:dynamodb/table:Table");
  return String(table?.outputs.arn).split(":")[3] ?? "";
}

function print({ functions, missing, unused, wildcards }: Comparison): void {
  const table = new Table({ head: ["function", "action", "resource", ""], style: { head: [], border: [] } });
  const rows = (problem: string, list: Comparison["unused"]) =>
    list.map((each) => [each.function, each.action, `${each.resource} ${each.keys ?? ""}`.trim(), problem]);
  table.push(
    ...rows("called without permission", missing),
    ...rows("permission without a call", unused),
    ...wildcards.map((each) => [each.function, each.action, each.resource, each.reason ?? "wildcard without a reason"]),
  );
  console.log(table.toString());
  console.log(
    `${functions} functions and schedules: ${missing.length} missing, ${unused.length} unused, ${wildcards.length} wildcards`,
  );
}
