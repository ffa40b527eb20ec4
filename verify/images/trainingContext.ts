import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { buildSync } from "esbuild";
import { root } from "../../cli/root";

/** Files and folders of the repository that the training image contains. */
const CONTENT = [
  "contract/fixtures",
  "images/mistral",
  "images/phi3",
  "images/worker/src",
  "local/runpod/workers/run_worker.py",
  "training/data",
  "training/prompts",
  "training/requirements-evaluate.lock",
  "training/requirements-train.lock",
  "training/src",
  "training/tasks",
];

/**
 * Writes the context of `training/Dockerfile` to a folder: parts of the repository, and the program that sends the
 * contract's fixtures, as one file with its packages.
 */
export function writeTrainingContext(folder: string): void {
  mkdirSync(folder, { recursive: true });
  const filter = (file: string) => !/__pycache__|_cache$/.test(file);
  for (const path of CONTENT) cpSync(join(root, path), join(folder, path), { recursive: true, filter });
  buildSync({
    entryPoints: [join(root, "training/command/servedFixtures.ts")],
    outfile: join(folder, "servedFixtures.cjs"),
    bundle: true,
    platform: "node",
    format: "cjs",
    target: "node24",
    logLevel: "error",
  });
}
