import { createInterface } from "node:readline";
import type { Children } from "./children";

/**
 * Starts `pacedEngine.ts` in a separate process.
 *
 * @param pace `at-once` sends each reply without any pause; default: the pace of a GPU
 * @returns the engine's base URL
 */
export async function startEngine(children: Children, pace?: "at-once"): Promise<string> {
  const args = ["cli/run.cjs", "verify/bench/pacedEngine.ts", ...(pace ? [pace] : [])];
  const { stdout } = children.start(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
  if (!stdout) throw new Error("The stdout of the paced engine is not piped");
  for await (const line of createInterface(stdout)) return (JSON.parse(line) as { url: string }).url;
  throw new Error("The paced engine ended before it printed its URL");
}
