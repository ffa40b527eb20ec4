import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../cli/root";
import type { Model } from "../../contract/plan";
import { writeTokenizer } from "../../local/llm/realTokenizer";
import { waitForWorker } from "../../verify/conformance/endpoint";
import { withLocalTargets } from "../../verify/conformance/localTargets";
import { runSuite } from "../../verify/conformance/suite";
import { setupTraining } from "./environment";
import { countFixtures } from "./fixtureResults";
import { runPackage, setupWorkerPython } from "./python";

/** Time limit of the worker's start and of each fixture. */
const LIMIT_MS = 120_000;
/** A tiny random model writes until this limit. */
const MAX_TOKENS = 48;
/** Number of persona prompts. The replies are noise, so a sample of each kind is enough. */
const PROMPTS = 60;

/** Callbacks that show the progress of a long command. */
export interface Show {
  step(line: string): void;
  activity(text: string): void;
}

interface TrainResult {
  candidate: string;
  steps: number;
  /** Mean loss of the first five steps. */
  lossFirst: number;
  /** Mean loss of the last five steps. */
  lossLast: number;
  adapterMergedMaxDiff: number;
  gguf?: string;
}

/** Result of the Python command `gate`. */
export interface GateResult {
  /** HTML file of the report; the JSON file is beside it. */
  report: string;
  promptIdsEqual: boolean;
  /** Number of BOS tokens in a served prompt. */
  bos: number;
  endTokens: number[];
  fixturesPassed: number;
  gates: Record<"passed" | "failed" | "notMeasured" | "notJudged", number>;
  failedGates: string[];
  mayBePromoted: boolean;
  failed: boolean;
}

/** Result of `npm run train -- <model> --tiny --json`. `seconds` does not include the installation of packages. */
export type TinyResult = Omit<TrainResult, "gguf"> & GateResult & { seconds: number };

/** Folder of the results of one run. */
export function runFolder(model: Model, kind: "tiny" | "local"): string {
  return join(root, ".build", "training-runs", `${model}-${kind}`);
}

/** Writes the tokenizer of a model to a folder. Returns the file and the model's architecture: `phi3` or `mistral`. */
export function tokenizerIn(
  folder: string,
  model: Model,
  workerPython: string,
): { tokenizer: string; architecture: string } {
  mkdirSync(folder, { recursive: true });
  const tokenizer = join(folder, `${model}.json`);
  return { tokenizer, architecture: writeTokenizer(model, tokenizer, workerPython) };
}

/**
 * Trains a tiny random model on the CPU and goes the whole way to a judged candidate: export, GGUF, llama.cpp, the real
 * worker in a local cloud, the contract's fixtures, the gates and the report.
 *
 * @throws TrainingUnavailable when this machine cannot install the training packages
 */
export async function trainTiny(model: Model, { step, activity }: Show): Promise<TinyResult> {
  const workerPython = await setupWorkerPython(step, activity);
  const trainingPython = await setupTraining(step, activity);
  const startedAt = performance.now();
  const folder = runFolder(model, "tiny");
  rmSync(folder, { recursive: true, force: true });
  const { tokenizer, architecture } = tokenizerIn(join(folder, "tokenizers"), model, workerPython);
  const tinyArgs = ["--tiny", architecture, "--tokenizer", tokenizer];
  const trainArgs = ["train", "--model", model, ...tinyArgs, "--out", folder, "--gguf"];
  const { gguf, ...trained } = await runPackage<TrainResult>(trainingPython, trainArgs, ownLines(step));
  if (!gguf) throw new Error("The training wrote no GGUF file");

  const measurements = join(folder, "measurements.json");
  await withLocalTargets({ engine: { gguf }, progress: step }, async (targets, engineUrl) => {
    const target = targets.find(({ name }) => name === model);
    if (!target) throw new Error(`The local cloud has no endpoint for ${model}`);
    step("sending the contract's fixtures through the worker");
    await waitForWorker(target.endpoint, LIMIT_MS);
    const results = await runSuite(target.endpoint, target.values, { atOnce: 2, limitMs: LIMIT_MS });
    const fixtures = join(folder, "fixtures.json");
    writeFileSync(fixtures, JSON.stringify(countFixtures(results)));
    const served = ["--engine-url", engineUrl, "--engine", "llama.cpp", "--fixtures", fixtures];
    const limits = ["--prompts", String(PROMPTS), "--max-tokens", String(MAX_TOKENS), "--at-once", "4"];
    const measureArgs = ["measure", "--model", model, "--candidate", trained.candidate, "--out", measurements];
    await runPackage(workerPython, [...measureArgs, ...served, ...limits], step);
  });
  step("judging the candidate");
  const judged = await gate({ model, candidate: trained.candidate, measurements, python: workerPython, tokenizer });
  return { ...trained, ...judged, seconds: Math.round((performance.now() - startedAt) / 1000) };
}

/** Judges a candidate and writes its report beside the measurements. */
export function gate(options: {
  model: Model;
  candidate: string;
  measurements: string;
  python: string;
  /** `tokenizer.json` of the base. Default: the candidate's. */
  tokenizer?: string;
  /** Default: `report.html` beside the measurements. */
  report?: string;
}): Promise<GateResult> {
  const { model, candidate, measurements, python, tokenizer } = options;
  const report = options.report ?? join(measurements, "..", "report.html");
  const args = ["gate", "--model", model, "--candidate", candidate, "--measurements", measurements, "--report", report];
  return runPackage(python, tokenizer ? [...args, "--tokenizer", tokenizer] : args, () => {});
}

/** Passes on only the lines of the training package. The libraries also write many lines. */
function ownLines(step: (line: string) => void): (line: string) => void {
  return (line) => {
    if (/^(loading|training|step|merging|converting)\b/.test(line)) step(line);
  };
}
