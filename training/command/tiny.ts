import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../cli/root";
import type { Model } from "../../contract/plan";
import { startEngine } from "../../local/llm/engine";
import { writeTokenizer } from "../../local/llm/realTokenizer";
import { Events } from "../../local/support/events";
import { lockFolder } from "../../local/support/lock";
import { setupTraining } from "./environment";
import { runPackage, setupWorkerPython } from "./python";
import { sendFixtures } from "./sendFixtures";

/** Maximum tokens of a reply. A tiny random model always writes until this limit. */
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
  /** HTML file of the report. The JSON file of the report is in the same folder. */
  report: string;
  promptIdsEqual: boolean;
  /** Number of BOS tokens in a served prompt. */
  bos: number;
  endTokens: number[];
  fixturesPassed: number;
  gates: Record<"passed" | "failed" | "notMeasured" | "notJudged", number>;
  failedGates: string[];
  /** Gates that must still pass before the candidate may be promoted. */
  openGates: string[];
  mayBePromoted: boolean;
  failed: boolean;
}

/** Result of `npm run train -- <model> --tiny --json`. `seconds` does not include the installation of packages. */
export type TinyResult = Omit<TrainResult, "gguf"> & GateResult & { seconds: number };

/**
 * Locks the folder of all runs. Returns the folder for the results of one run.
 *
 * @throws Error when another training runs on this machine, because two trainings would slow each other down
 */
export function lockRunFolder(model: Model, kind: "tiny" | "local"): string {
  const runs = join(root, ".build", "training-runs");
  lockFolder(runs, "npm run train");
  return join(runs, `${model}-${kind}`);
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
 * Trains a tiny random model on the CPU and runs all later steps: export, GGUF, llama.cpp, the real worker, the
 * contract's fixtures, the gates and the report.
 *
 * @throws TrainingUnavailable when this machine cannot install the training packages
 */
export async function trainTiny(model: Model, { step, activity }: Show): Promise<TinyResult> {
  const folder = lockRunFolder(model, "tiny");
  const workerPython = await setupWorkerPython(step, activity);
  const trainingPython = await setupTraining(step, activity);
  const startedAt = performance.now();
  rmSync(folder, { recursive: true, force: true });
  const { tokenizer, architecture } = tokenizerIn(join(folder, "tokenizers"), model, workerPython);
  const tinyArgs = ["--tiny", architecture, "--tokenizer", tokenizer];
  const trainArgs = ["train", "--model", model, ...tinyArgs, "--out", folder, "--gguf"];
  const { gguf, ...trained } = await runPackage<TrainResult>(trainingPython, trainArgs, ownLines(step));
  if (!gguf) throw new Error("The training wrote no GGUF file");

  const measurements = join(folder, "measurements.json");
  const engine = await startEngine({ gguf }, new Events(), step);
  try {
    step("sending the contract's fixtures through the worker");
    const sent = await sendFixtures({ model, engineUrl: engine.url, tokenizer, python: workerPython });
    const fixtures = join(folder, "fixtures.json");
    writeFileSync(fixtures, JSON.stringify(sent));
    const served = ["--engine-url", engine.url, "--engine", "llama.cpp", "--fixtures", fixtures];
    const limits = ["--prompts", String(PROMPTS), "--max-tokens", String(MAX_TOKENS), "--at-once", "4"];
    const measureArgs = ["measure", "--model", model, "--candidate", trained.candidate, "--out", measurements];
    await runPackage(workerPython, [...measureArgs, ...served, ...limits], step);
  } finally {
    await engine.close();
  }
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

/** Forwards only the lines of the training package, because the libraries also write many lines. */
function ownLines(step: (line: string) => void): (line: string) => void {
  return (line) => {
    if (/^(loading|training|step|merging|converting)\b/.test(line)) step(line);
  };
}
