import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Table from "cli-table3";
import { Argument, Option } from "commander";
import pc from "picocolors";
import { command, run } from "../../cli/command";
import { Progress } from "../../cli/progress";
import { type Model, models } from "../../contract/plan";
import { setOperatorOutput } from "../../runpod/operatorOutput";
import { podApi } from "../../runpod/rest/pods";
import { setupTraining, TrainingUnavailable } from "./environment";
import { sampleFixtures } from "./fixtureResults";
import { changeModel, proposeModel, requireVerdict } from "./propose";
import { runPackage, setupWorkerPython } from "./python";
import {
  confirmOnTerminal,
  hubFromEnvironment,
  type PodOptions,
  podRun,
  runpodFromEnvironment,
} from "./runpod/arguments";
import { Hub } from "./runpod/hub";
import { SWEEP_HOURS, type SweptPod, sweep } from "./runpod/sweep";
import { GPU_TYPES, JUDGE_SECRET, limits, TOKEN_SECRET, trainOnRunpod } from "./runpod/trainOnRunpod";
import { sendFixtures } from "./sendFixtures";
import { type GateResult, gate, lockRunFolder, type Show, tokenizerIn, trainTiny } from "./tiny";

/** Result of the self-test of the gates. */
interface SelftestResult {
  candidates: number;
  /** Number of broken candidates that the expected gate has caught. */
  caught: number;
  /** Number of broken candidates for which a gate other than the expected gate failed. */
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
  .addOption(
    new Option("--on <place>", "where to train: on this machine, or on a GPU pod at RunPod")
      .choices(["local", "runpod"])
      .default("local"),
  )
  .option("--base <folder>", "folder of the base model at the revision of training.json; needs a GPU")
  .option("--data <files...>", "JSON Lines files (default: the starter set)")
  .option("--image <image>", "runpod: training image by digest, host/name@sha256:…")
  .option("--repository <owner/name>", "runpod: private Hugging Face repository for the result")
  .option("--dataset <owner/name@commit>", "runpod: Hugging Face data set (default: the starter set)")
  .option("--gpu <types...>", `runpod: GPU types, preferred type first (default: ${GPU_TYPES.join(", ")})`)
  .option("--max-hours <hours>", "runpod: time after which the pod is deleted", "6")
  .option("--registry-credential <id>", "runpod: RunPod's id of the credential for a private image")
  .option("--judge-url <url>", "runpod: OpenAI-compatible base URL of a judge that compares the replies")
  .option("--judge-model <name>", "runpod: model of the judge")
  .option("--run-name <name>", "runpod: final part of the pod's name and of the result's tag (default: the time)")
  .option("--yes", "runpod: create the pod without asking")
  .option("--tiny", "run the whole pipeline in some minutes with a tiny random model on the CPU")
  .addHelpText(
    "after",
    `
--on runpod prints the expected time and cost, asks, and always deletes the pod, also after Ctrl-C. The pod also applies the
gates. When a gate has not passed, the command exits with 1 and names the gate. It needs RUNPOD_API_KEY, HF_TOKEN (reads the
repository), and the secret ${TOKEN_SECRET} in the RunPod account (writes to it). A judge also needs
the secret ${JUDGE_SECRET}.`,
  )
  .action(async (model: Model | undefined, options: TrainOptions) => {
    if (!model) throw new Error(`The model is missing; allowed: ${models.join(", ")}`);
    if (options.tiny) await orSkip(async () => print({ ...(await trainTiny(model, show)) }));
    else if (options.on === "runpod") await trainRemotely(model, options);
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
  .description("measure a candidate behind a running engine: the contract, prompt tokens, 200 replies as Mama, speed")
  .addOption(modelOption().makeOptionMandatory())
  .requiredOption("--candidate <folder>", "folder of the candidate")
  .requiredOption("--engine-url <url>", "base URL of the engine that serves it, ending in /v1")
  .requiredOption("--out <file>", "file for the measurements")
  .action(async (options: { model: Model; candidate: string; engineUrl: string; out: string }) => {
    const { model, candidate, engineUrl } = options;
    const python = await setupWorkerPython(show.step, show.activity);
    await inTemporaryFolder(async (folder) => {
      const fixtures = join(folder, "fixtures.json");
      show.step("sending the contract's fixtures through the worker");
      const served = { model, engineUrl, tokenizer: join(candidate, "tokenizer.json"), python };
      writeFileSync(fixtures, JSON.stringify(await sendFixtures(served)));
      print(
        await runPackage<Record<string, unknown>>(python, ["measure", ...flags({ ...options, fixtures })], show.step),
      );
    });
  });

program
  .command("compare")
  .description("compare a candidate with the serving model, and add the result to the measurements of the candidate")
  .requiredOption("--measurements <file>", "measurements of the candidate; the command changes this file")
  .requiredOption("--serving <file>", "measurements of the serving model, from the same machine")
  .option("--judge-url <url>", "OpenAI-compatible base URL of the judge; JUDGE_API_KEY contains the key of the judge")
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
  .option("--selftest", "judge fourteen broken candidates; each must fail only the gate for its fault")
  .addOption(modelOption())
  .option("--candidate <folder>", "folder of the candidate")
  .option("--measurements <file>", "measurements of the served candidate")
  .option("--report <file>", "HTML file to write (default: report.html beside the measurements)")
  .action(async (options: GateOptions) => {
    const python = await setupWorkerPython(show.step, show.activity);
    if (options.selftest) printSelftest(await selftest(python));
    else print({ ...(await judgeGiven(options, python)) });
  });

program
  .command("sweep")
  .description("delete old pods of trainings at RunPod, and print their cost; deletes no other pod")
  .option("--older-than-hours <hours>", "minimum age", String(SWEEP_HOURS))
  .option("--name <name>", "delete the pods with this name, of any age")
  .action(async ({ olderThanHours, name }: { olderThanHours: string; name?: string }) => {
    const hours = Number(olderThanHours);
    if (!(hours >= 0)) throw new Error(`--older-than-hours ${olderThanHours}: must be a number of hours, 0 or more`);
    setOperatorOutput(show.step);
    const selection = name === undefined ? { olderThanHours: hours } : { name };
    printSweep(await sweep(podApi(runpodFromEnvironment()), selection));
  });

program
  .command("propose")
  .description(
    "write the repository and the commit of a retrained model to images/<model>/model.json if its gates have passed",
  )
  .addArgument(new Argument("<model>", "retrained model").choices(models))
  .argument("<repository>", "Hugging Face repository, owner/name")
  .argument("<commit>", "commit of the repository, 40 digits")
  .option("--pull-request", "commit the change on a new branch, push it and open a pull request with gh")
  .action(async (model: Model, repository: string, commit: string, options: { pullRequest?: boolean }) => {
    await requireVerdict(new Hub(hubFromEnvironment()), model, { repository, revision: commit });
    const proposal = changeModel(model, repository, commit);
    print({ ...proposal, ...(options.pullRequest && { pullRequest: await proposeModel(proposal) }) });
  });

void run(program);

interface TrainOptions extends PodOptions {
  on: "local" | "runpod";
  base?: string;
  data?: string[];
  tiny?: boolean;
}

/** Trains on a pod. SIGINT, SIGTERM and SIGHUP end the training and then delete the pod. */
async function trainRemotely(model: Model, options: TrainOptions): Promise<void> {
  if (options.data || options.base)
    throw new Error("--data and --base are for --on local: a pod reads its conversations from --dataset");
  const run = podRun(model, options);
  setOperatorOutput(show.step);
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => {
      show.step(`${signal}: ending the pod first, please wait`);
      stop.abort(new Error(`Stopped by ${signal}`));
    });
  const result = await trainOnRunpod(run, {
    runpod: runpodFromEnvironment(),
    hub: hubFromEnvironment(),
    limits,
    tell: show.step,
    confirm: options.yes ? async () => true : confirmOnTerminal,
    signal: stop.signal,
  });
  print({ ...result, failed: !result.mayBePromoted });
  if (result.mayBePromoted) return;
  console.error(pc.bold(pc.red(`Not every gate has passed: ${result.openGates.join(", ")}. See ${result.report}`)));
}

function printSweep(pods: SweptPod[]): void {
  if (pods.some(({ result }) => result === "failed")) process.exitCode = 1;
  if (isJson()) {
    console.log(JSON.stringify({ pods }));
    return;
  }
  const table = new Table({
    head: ["pod", "status", "hours", "cost", "result"],
    style: { head: [], border: [] },
  });
  for (const { name, status, hours, dollars, result, problem } of pods)
    table.push([name, status, hours.toFixed(1), `$${dollars.toFixed(2)}`, problem ? `${result}: ${problem}` : result]);
  console.log(pods.length === 0 ? "no pods of trainings" : table.toString());
}

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

/** Trains and exports with the GPU of this machine. The operator must then serve, measure and judge the candidate. */
async function trainLocally(model: Model, { base, data }: { base?: string; data?: string[] }): Promise<void> {
  if (!base) throw new Error("--base is missing: the folder of the base model, or --tiny for a tiny random model");
  const folder = lockRunFolder(model, "local");
  const python = await setupTraining(show.step, show.activity);
  const args = ["train", "--model", model, "--base", base, "--out", folder, ...(data ?? [])];
  print(await runPackage<Record<string, unknown>>(python, args, show.step));
}

/** Returns options in the form of the Python package: `{ engineUrl: "x" }` becomes `--engine-url x`. */
function flags(options: Record<string, string>): string[] {
  return Object.entries(options).flatMap(([name, value]) => [
    `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
    value,
  ]);
}

/** Prints a warning when this machine cannot train. If `REQUIRE_ALL=1`, the command fails. */
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
