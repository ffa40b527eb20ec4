import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FunctionName } from "../../infra/bundle";
import { startLocalCloud } from "../../local/cloud/cloud";
import { bringUp, engineOptions } from "../../local/cloud/program";
import { CLIENT_BUDGET_BYTES, clientGzipBytes } from "../clientApp/pack";
import { evaluate } from "./evaluation";
import { importRatios } from "./importRatio";
import { median } from "./median";
import { type Cost, importSdk } from "./sdkImport";
import { startUntilReply } from "./startUp";
import { budgets, functionName, packageFolder, zippedBytes } from "./zips";

/** Output of `npm run bench -- program --json`. Every time and ratio of times is a median. */
export interface ProgramBench {
  /** Bytes that the client adds to a frontend's bundle: minified, gzip. */
  client: { bytes: number; budgetBytes: number };
  /** Size of each function's archive. */
  zips: Record<string, { bytes: number; budgetBytes: number }>;
  /** Time to import a function's bundle, divided by the time to import only its SDK clients. */
  importRatio: Record<FunctionName, number>;
  /** CPU time of a preview of the whole program, divided by the CPU time of importing Pulumi's SDK. */
  evaluateCpuRatio: number;
  /** CPU time of `npm start` until the first reply, divided by the CPU time of importing Pulumi's SDK. */
  startCpuRatio: number;
  /** Wall-clock time of `npm start` until the first reply, divided by the wall-clock time of importing Pulumi's SDK. */
  startToReplyRatio: number;
  evaluateMs: number;
  /** Time from the start of `npm start` to the end of the first reply. */
  startToReplyMs: number;
}

/**
 * Number of rounds per comparison. The start gets fewer rounds, because it takes several times as long as a preview.
 */
const ROUNDS = { evaluate: 7, start: 3 };

/**
 * Measures the archives that the program uploads, a preview of the program, `npm start` until the first reply, and the
 * imports of the bundles.
 */
export async function benchProgram(say: (line: string) => void): Promise<ProgramBench> {
  const dir = mkdtempSync(join(tmpdir(), "snack-misaki-bench-"));
  const programDir = process.cwd();
  say("measuring archives and previews");
  const cloud = await startLocalCloud({ programDir, dir, freePorts: true });
  try {
    await bringUp(cloud, programDir, dir);
    const functions = cloud.aws.account.list("aws:lambda/function:Function").map((fn) => {
      const name = functionName(fn);
      return [name, { bytes: zippedBytes(packageFolder(dir, fn)), budgetBytes: budgets[name] }];
    });
    const evaluation = await compare(ROUNDS.evaluate, () => evaluate(engineOptions(cloud, programDir, dir), dir));
    await cloud.close();
    say("measuring npm start until the first reply");
    const start = await compare(ROUNDS.start, startUntilReply);
    say("measuring imports of the functions' bundles");
    return {
      client: { bytes: await clientGzipBytes(), budgetBytes: CLIENT_BUDGET_BYTES },
      zips: Object.fromEntries(functions),
      importRatio: await importRatios(),
      evaluateCpuRatio: evaluation.cpuRatio,
      startCpuRatio: start.cpuRatio,
      startToReplyRatio: start.wallRatio,
      evaluateMs: evaluation.wallMs,
      startToReplyMs: start.wallMs,
    };
  } finally {
    await cloud.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Measures the SDK's import and calls `measure` in turns, so that a busy machine slows down both. */
async function compare(
  rounds: number,
  measure: () => Promise<Cost>,
): Promise<{ cpuRatio: number; wallRatio: number; wallMs: number }> {
  const pairs: { base: Cost; measured: Cost }[] = [];
  for (let round = 0; round < rounds; round++) pairs.push({ base: importSdk(), measured: await measure() });
  return {
    cpuRatio: median(pairs.map(({ base, measured }) => measured.cpuMs / base.cpuMs)),
    wallRatio: median(pairs.map(({ base, measured }) => measured.wallMs / base.wallMs)),
    wallMs: Math.round(median(pairs.map(({ measured }) => measured.wallMs))),
  };
}
