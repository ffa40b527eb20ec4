import { execFile } from "node:child_process";
import { promisify } from "node:util";

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
