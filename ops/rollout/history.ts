import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Model } from "../../contract/plan";
import { type Image, imageOf } from "./stackFile";

/** Limit for one git or gh command. */
const COMMAND_TIMEOUT_MS = 120_000;

/**
 * Runs git or gh in the repository's folder.
 *
 * @returns its standard output, without the last line break
 * @throws Error with the command and its own message
 */
export async function runTool(file: "git" | "gh", args: string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(file, args, { timeout: COMMAND_TIMEOUT_MS, maxBuffer: 64 * 2 ** 20 });
    return stdout.trimEnd();
  } catch (cause) {
    const { code, stderr = "" } = cause as { code?: unknown; stderr?: string };
    const why = code === "ENOENT" ? "it is not installed" : stderr.trim() || String(code ?? "it took too long");
    throw new Error(`${file} ${args[0]} failed: ${why}`, { cause });
  }
}

/**
 * Finds the image that a model had before `current`, in the committed versions of the stack's file.
 *
 * @throws Error when git has no earlier image
 */
export async function previousImage(file: string, model: Model, current: Image): Promise<Image> {
  const commits = await runTool("git", ["log", "--format=%H", "--", file]);
  for (const commit of commits.split("\n").filter(Boolean)) {
    // A commit that deleted the file has no version of it.
    const text = await runTool("git", ["show", `${commit}:${file}`]).catch(() => "");
    const image = imageOf(text, model);
    if (image && image.value !== current.value) return image;
  }
  const depth = (await runTool("git", ["rev-parse", "--is-shallow-repository"])) === "true";
  throw new Error(
    `${file} has no earlier image of ${model} in git${depth ? ". The clone is shallow: run git fetch --unshallow" : ""}`,
  );
}
