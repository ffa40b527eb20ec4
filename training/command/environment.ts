import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../cli/root";
import { execute, interpreterOf, pipInstall } from "../../local/support/pythonEnvironment";

const lock = join(root, "training/requirements-train.lock");
const NAME = "training-env-";
const NEEDED_BYTES = 12e9;
/** The lock file contains wheels only for this Python version. */
const PYTHON = "python3.11";

/** Thrown when this machine cannot train. The message is the reason. The caller skips the tiny run. */
export class TrainingUnavailable extends Error {
  override readonly name = "TrainingUnavailable";
}

/**
 * Creates the environment with torch, TRL and PEFT in `.build` (6 GB). Does nothing if an environment of the present
 * lock file exists. Deletes the environment of an older lock file.
 *
 * @param progress called with a line as each step begins
 * @param activity called about once a second with the package that pip processes
 * @param build folder that contains the environment
 * @returns the environment's Python
 * @throws TrainingUnavailable with the reason when this machine cannot install the environment
 */
export async function setupTraining(
  progress: (line: string) => void,
  activity: (text: string) => void,
  build = join(root, ".build"),
): Promise<string> {
  const hash = createHash("sha256").update(readFileSync(lock)).digest("hex").slice(0, 12);
  const folder = join(build, NAME + hash);
  const python = interpreterOf(folder);
  const installed = join(folder, "installed");
  if (existsSync(installed)) return python;
  if (process.platform !== "linux" || process.arch !== "x64")
    throw new TrainingUnavailable(`the lock file is for Linux on x86-64, this is ${process.platform} ${process.arch}`);
  mkdirSync(build, { recursive: true });
  for (const name of readdirSync(build).filter((name) => name.startsWith(NAME)))
    rmSync(join(build, name), { recursive: true, force: true });
  const { bavail, bsize } = statfsSync(build);
  if (bavail * bsize < NEEDED_BYTES) {
    const free = Math.round((bavail * bsize) / 1e9);
    throw new TrainingUnavailable(`the installation needs ${NEEDED_BYTES / 1e9} GB of disk space, ${free} GB are free`);
  }
  progress("installing torch, TRL and PEFT (6 GB, only the first time, about three minutes)");
  const created = await execute(PYTHON, ["-m", "venv", folder]).catch(() => 1);
  if (created !== 0) throw new TrainingUnavailable(`${PYTHON} with venv is not installed`);
  const options = ["--no-cache-dir", "--only-binary=:all:", "--require-hashes", "--requirement", lock];
  const problem = await pipInstall(python, options, activity);
  if (problem) throw new TrainingUnavailable(`the packages cannot be installed: ${problem}`);
  writeFileSync(installed, "");
  return python;
}
