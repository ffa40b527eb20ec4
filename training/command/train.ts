import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Table from "cli-table3";
import { Argument, Option } from "commander";
import pc from "picocolors";
import { command, run } from "../../cli/command";
import { Progress } from "../../cli/progress";
import { type Model, models } from "../../contract/plan";
import { setupTraining, TrainingUnavailable } from "./environment";
import { countFixtures, readContractResults, sampleFixtures } from "./fixtureResults";
import { runPackage, setupWorkerPython } from "./python";
import { type GateResult, gate, runFolder, type Show, tokenizerIn, trainTiny } from "./tiny";

/** Result of the self-test of the gates. */
interface SelftestResult {
  candidates: number;
  /** Number of broken candidates that the expected gate has caught. */
  caught: number;
  /** Number of broken candidates for which another gate failed too, or instead. */
  wrongGate: number;
  results: { candidate: string; expected: string; failed: string[] }[];
  failed: boolean;
}

interface DataResult {
  conversations: number;
  problems: string[];
  trained?: number;
  heldOut?: number;
  longestTokens?: number;
  sha256?: string;
  failed: boolean;
}

const progress = new Progress(process.stderr);
const show: Show = { step: (line) => progress.step(line), activity: progress.activity };
const modelArgument = () => new Argument("[model]", "model to retrain").choices(models);
const modelOption = () => new Option("--model <model>", "model whose template and tokenizer apply").choices(models);

const program = command("train", "Retrains a model: data, training, export, gates and report. See docs/training.md.")
  .addArgument(modelArgument())
  .addOption(new Option("--on <place>", "where to train").choices(["local"]).default("local"))
  .option("--base <folder>", "folder of the base model at the revision of training.json; needs a GPU")
  .option("--data <files...>", "JSON Lines files (default: the starter set)")
  .option("--tiny", "train a tiny random model on the CPU, serve it and judge it: the whole pipeline in some minutes")
  .action(async (model: Model | undefined, options: { base?: string; data?: string[]; tiny?: boolean }) => {
    if (!model) throw new Error(`The model is missing; allowed: ${models.join(", ")}`);
    if (options.tiny) await orSkip(async () => print({ ...(await trainTiny(model, show)) }));
    else await trainLocally(model, options);
  });

program
  .command("data")
  .description("check training data: form, licence, template marks, length, duplicates, personal data")
  .argument("[files...]", "JSON Lines files (default: the starter set)")
  .addOption(modelOption().default("phi3"))
  .action(async (files: string[], { model }: { model: Model }) => {
    const python = await setupWorkerPython(show.step, show.activity);
    const result = await inTemporaryFolder((folder) => {
      const { tokenizer } = tokenizerIn(folder, model, python);
      return runPackage<DataResult>(python, ["data", "--model", model, "--tokenizer", tokenizer, ...files], show.step);
    });
    if (result.failed) process.exitCode = 1;
    if (isJson()) print({ ...result });
    else if (result.failed) console.log(pc.red(result.problems.join("\n")));
    else print({ ...result });
  });

program
  .command("measure")
  .description("measure a candidate behind a running engine: prompt tokens, 200 replies as Mama, speed")
  .addOption(modelOption().makeOptionMandatory())
  .requiredOption("--candidate <folder>", "folder of the candidate")
  .requiredOption("--engine-url <url>", "base URL of the engine that serves it, ending in /v1")
  .requiredOption("--out <file>", "file for the measurements")
  .option("--contract <file>", "output of npm run contract -- --json against the served candidate")
  .action(async ({ contract, ...options }: { contract?: string } & Record<string, string>) => {
    const python = await setupWorkerPython(show.step, show.activity);
    await inTemporaryFolder(async (folder) => {
      const fixtures = join(folder, "fixtures.json");
      if (contract) writeFileSync(fixtures, JSON.stringify(countFixtures(readContractResults(contract))));
      const args = contract ? { ...options, fixtures } : options;
      print(await runPackage<Record<string, unknown>>(python, ["measure", ...flags(args)], show.step));
    });
  });

program
  .command("compare")
  .description("add comparisons with the serving model to the measurements of a candidate")
  .requiredOption("--measurements <file>", "measurements of the candidate; the command changes this file")
  .requiredOption("--serving <file>", "measurements of the serving model, from the same machine")
  .option("--judge-url <url>", "OpenAI-compatible base URL of the judge; its key is in JUDGE_API_KEY")
  .option("--judge-model <name>", "model of the judge")
  .option("--tasks <file>", "lm-eval's results of the candidate")
  .option("--serving-tasks <file>", "lm-eval's results of the serving model")
  .action(async (options: Record<string, string>) => {
    const python = await setupWorkerPython(show.step, show.activity);
    print(await runPackage<Record<string, unknown>>(python, ["compare", ...flags(options)], show.step));
  });

program
  .command("gate")
  .description("judge a candidate by its files and measurements, and write its report")
  .option("--selftest", "judge fourteen broken candidates; each must fail exactly the gate that is meant for it")
  .addOption(modelOption())
  .option("--candidate <folder>", "folder of the candidate")
  .option("--measurements <file>", "measurements of the served candidate")
  .option("--report <file>", "HTML file to write (default: report.html beside the measurements)")
  .action(async (options: GateOptions) => {
    const python = await setupWorkerPython(show.step, show.activity);
    if (options.selftest) printSelftest(await selftest(python));
    else print({ ...(await judgeGiven(options, python)) });
  });

void run(program);

interface GateOptions {
  selftest?: boolean;
  model?: Model;
  candidate?: string;
  measurements?: string;
  report?: string;
}

async function judgeGiven(options: GateOptions, python: string): Promise<GateResult> {
  const { model, candidate, measurements, report } = options;
  if (!model || !candidate || !measurements)
    throw new Error("--model, --candidate and --measurements are required without --selftest");
  return gate({ model, candidate, measurements, python, ...(report && { report }) });
}

function selftest(python: string): Promise<SelftestResult> {
  return inTemporaryFolder(async (folder) => {
    for (const model of models) tokenizerIn(folder, model, python);
    const fixtures = join(folder, "fixtures.json");
    writeFileSync(fixtures, JSON.stringify(sampleFixtures()));
    return runPackage<SelftestResult>(python, ["selftest", "--tokenizers", folder, "--fixtures", fixtures], show.step);
  });
}

/** Trains and exports with the GPU of this machine. The candidate must then be served, measured and judged. */
async function trainLocally(model: Model, { base, data }: { base?: string; data?: string[] }): Promise<void> {
  if (!base) throw new Error("--base is missing: the folder of the base model, or --tiny for a tiny random model");
  const python = await setupTraining(show.step, show.activity);
  const args = ["train", "--model", model, "--base", base, "--out", runFolder(model, "local"), ...(data ?? [])];
  print(await runPackage<Record<string, unknown>>(python, args, show.step));
}

/** Returns options in the form of the Python package: `{ engineUrl: "x" }` becomes `--engine-url x`. */
function flags(options: Record<string, string>): string[] {
  return Object.entries(options).flatMap(([name, value]) => [
    `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
    value,
  ]);
}

/** Says loudly that nothing was tested when this machine cannot train. Fails the command if `REQUIRE_ALL=1`. */
async function orSkip(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof TrainingUnavailable)) throw error;
    if (isJson()) console.log(JSON.stringify({ skipped: error.message }));
    console.error(pc.bold(pc.yellow(`SKIPPED the training of a tiny model: ${error.message}`)));
    if (process.env.REQUIRE_ALL === "1") process.exitCode = 1;
  }
}

function print({ failed, ...result }: Record<string, unknown>): void {
  progress.clear();
  if (failed) process.exitCode = 1;
  if (isJson()) {
    console.log(JSON.stringify(result));
    return;
  }
  const table = new Table({ style: { head: [], border: [] }, colWidths: [24, 80], wordWrap: true });
  for (const [name, value] of Object.entries(result))
    table.push([name, typeof value === "string" ? value : JSON.stringify(value)]);
  console.log(table.toString());
}

function printSelftest({ results, failed, ...counts }: SelftestResult): void {
  if (failed) process.exitCode = 1;
  if (isJson()) {
    console.log(JSON.stringify({ ...counts, results }));
    return;
  }
  const table = new Table({
    head: ["broken candidate", "gate that must fail", "failed"],
    style: { head: [], border: [] },
  });
  for (const { candidate, expected, failed } of results) {
    const isRight = failed.length === 1 && failed[0] === expected;
    table.push([candidate, expected, (isRight ? pc.green : pc.red)(failed.join(", ") || "none")]);
  }
  console.log(table.toString());
  console.log(`${counts.caught} of ${counts.candidates} caught, ${counts.wrongGate} by a wrong gate`);
}

function isJson(): boolean {
  return program.opts<{ json?: boolean }>().json === true;
}

async function inTemporaryFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "snack-misaki-training-"));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
