import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { root } from "../../cli/root";
import { type Model, models } from "../../contract/plan";
import { findVenvPython } from "../support/pythonEnvironment";
import { snapshotOf } from "./vllmEnvironment";

const run = promisify(execFile);

/** Results of the worker's checks against a real vLLM: see `images/worker/tests/vllm_checks.py`. */
export interface VllmChecks {
  /** Number of conversations for which vLLM and the worker count the same tokens, such as `7 of 7`. */
  tokenize: string;
  /** Tokens of the longest conversation that the worker sends, with its reply, and vLLM's limit: `4000 of 4096`. */
  fullContext: string;
  /** Milliseconds until vLLM aborts the reply of a cancelled job. */
  abortMs: number;
  /** Number of tokens until vLLM stops at the chat template's end token. The weights do not name this token. */
  stopTokens: number;
  /** Prompt tokens that vLLM found in its prefix cache. */
  cachedTokens: number;
}

/**
 * Runs the worker's checks for each model, one after another.
 *
 * @param url OpenAI-compatible base URL of vLLM
 * @throws Error with the failed check
 */
export async function checkVllm(url: string, say: (line: string) => void): Promise<Record<Model, VllmChecks>> {
  const python = findVenvPython();
  if (!python) throw new Error("The worker's Python environment is missing: npm run python -- setup");
  const cwd = join(root, "images/worker");
  const env = { ...process.env, PYTHONPATH: join(cwd, "src") };
  const results: [Model, VllmChecks][] = [];
  for (const model of models) {
    say(`checking the worker with vLLM and ${model}`);
    const args = ["-m", "tests.vllm_checks", url, model, snapshotOf(model)];
    const { stdout } = await run(python, args, { cwd, env });
    results.push([model, JSON.parse(stdout)]);
  }
  return Object.fromEntries(results) as Record<Model, VllmChecks>;
}
