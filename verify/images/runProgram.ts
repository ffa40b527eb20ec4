import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { finished } from "node:stream/promises";

export interface RunOptions {
  /** Abort signal that ends the program. */
  signal: AbortSignal;
  /** File for the program's output. Without this file, only the last lines are kept. An error quotes the last lines. */
  logFile?: string;
  /** Called with each line of the output. */
  onLine?(line: string): void;
  /** Variables that override the variables of this process. */
  env?: Record<string, string>;
}

/** Number of output lines that an error quotes. */
const KEPT_LINES = 15;

/**
 * Runs a program until it exits.
 *
 * @returns its standard output, without the last line break
 * @throws Error with the last output lines when the program fails
 */
export async function runProgram(file: string, args: string[], options: RunOptions): Promise<string> {
  const child = spawn(file, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...options.env },
    signal: options.signal,
  });
  const log = options.logFile ? createWriteStream(options.logFile) : undefined;
  let output = "";
  let lastLines: string[] = [];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      log?.write(text);
      const lines = text.split("\n").filter((line) => line.trim() !== "");
      lastLines = [...lastLines, ...lines].slice(-KEPT_LINES);
      for (const line of lines) options.onLine?.(line);
    });
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (log) await finished(log.end());
  if (code === 0) return output.trimEnd();
  const logHint = options.logFile ? [`complete log: ${options.logFile}`] : [];
  throw new Error([`${file} ${args[0] ?? ""} failed`, ...lastLines, ...logHint].join("\n"));
}
