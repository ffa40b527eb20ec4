import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { finished } from "node:stream/promises";

/** How a program is run. */
export interface Execution {
  /** Ends it. */
  signal: AbortSignal;
  /** Gets what it says; without it, that is only kept for an error. */
  logFile?: string;
  /** Gets each line it says. */
  onLine?(line: string): void;
  /** Variables over those of this process. */
  env?: Record<string, string>;
}

const KEPT_LINES = 15;

/**
 * Runs a program to its end.
 *
 * @returns what it wrote to standard output, without the last line break
 * @throws Error with its last lines when it fails
 */
export async function execute(file: string, args: string[], how: Execution): Promise<string> {
  const child = spawn(file, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...how.env },
    signal: how.signal,
  });
  const log = how.logFile ? createWriteStream(how.logFile) : undefined;
  let output = "";
  let last: string[] = [];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      log?.write(text);
      const lines = text.split("\n").filter((line) => line.trim() !== "");
      last = [...last, ...lines].slice(-KEPT_LINES);
      for (const line of lines) how.onLine?.(line);
    });
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (log) await finished(log.end());
  if (code === 0) return output.trimEnd();
  throw new Error(
    [`${file} ${args[0] ?? ""} failed`, ...last, ...(how.logFile ? [`whole log: ${how.logFile}`] : [])].join("\n"),
  );
}
