import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FunctionName } from "../../infra/bundle";
import { startLocalCloud } from "../../local/cloud/cloud";
import { bringUp, engineOptions } from "../../local/cloud/program";
import type { SmokeResult } from "../../local/commands/smoke";
import { preview } from "../../local/pulumi/engine";
import { importRatios } from "./importRatio";
import { median } from "./median";
import { budgets, functionName, packageFolder, zippedBytes } from "./zips";

/** What `npm run bench -- program --json` prints. */
export interface ProgramBench {
  zips: Record<string, { bytes: number; budgetBytes: number }>;
  /** Time to import a function's bundle over the time to import its SDK clients alone. */
  importRatio: Record<FunctionName, number>;
  /** One evaluation of the whole program, its processes' starts included; the median of three. */
  evaluateMs: number;
  /** From the start of the command to the end of Mama's first reply. */
  startToReplyMs: number;
}

const EVALUATIONS = 3;

/** Measures the program: what it uploads, how long it takes to evaluate, how long until Mama answers. */
export async function benchProgram(): Promise<ProgramBench> {
  const dir = mkdtempSync(join(tmpdir(), "snack-misaki-bench-"));
  const programDir = process.cwd();
  const cloud = await startLocalCloud({ programDir, dir, freePorts: true });
  try {
    await bringUp(cloud, programDir, dir);
    const functions = cloud.aws.account.list("aws:lambda/function:Function").map((fn) => {
      const name = functionName(fn);
      return [name, { bytes: zippedBytes(packageFolder(dir, fn)), budgetBytes: budgets[name] }];
    });
    const evaluations: number[] = [];
    for (let round = 0; round < EVALUATIONS; round++) {
      const startedAt = performance.now();
      await preview(engineOptions(cloud, programDir, dir));
      evaluations.push(Math.round(performance.now() - startedAt));
    }
    await cloud.close();
    const smoke = JSON.parse(
      execFileSync("npm", ["run", "--silent", "smoke", "--", "--json"], { encoding: "utf8" }),
    ) as SmokeResult;
    return {
      zips: Object.fromEntries(functions),
      importRatio: await importRatios(),
      evaluateMs: median(evaluations),
      startToReplyMs: smoke.startToReplyMs,
    };
  } finally {
    await cloud.close();
    rmSync(dir, { recursive: true, force: true });
  }
}
