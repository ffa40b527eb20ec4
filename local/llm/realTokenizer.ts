import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { root } from "../../cli/root";
import type { Model } from "../../contract/plan";

/** Text of a program that writes a model's tokenizer to a file and prints the model's architecture. */
const SCRIPT =
  "import sys; from tests.real_tokenizers import format_of, tokenizer; " +
  "tokenizer(sys.argv[1]).save(sys.argv[2]); print(format_of(sys.argv[1]).name)";

/**
 * Writes the real tokenizer of a model, from the packages of the worker's tests.
 *
 * @param file `tokenizer.json` to write
 * @param workerPython Python of the worker's environment
 * @returns the model's architecture: `phi3` or `mistral`
 */
export function writeTokenizer(model: Model, file: string, workerPython: string): string {
  const worker = join(root, "images/worker");
  const env = { ...process.env, PYTHONPATH: join(worker, "src") };
  return execFileSync(workerPython, ["-c", SCRIPT, model, file], { cwd: worker, env, encoding: "utf8" }).trim();
}
