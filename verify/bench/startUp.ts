import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chat } from "../../client";
import { ProgramOutputs } from "../../local/cloud/outputs";
import { findVenvPython } from "../../local/support/pythonEnvironment";
import { customerApi } from "../../local/visitor/customer";
import type { Cost } from "./sdkImport";

// The shell's `times` prints the CPU time of all descendants that have ended. The trap keeps the shell running after
// Ctrl-C.
const script = 'trap : INT; "$@"; times';

/**
 * Measures `npm start` from an empty folder to the end of the first reply to a customer. The CPU time covers all
 * processes of `npm start`, with the Python worker if it is installed. It also covers their shutdown right after the
 * reply.
 */
export async function startUntilReply(): Promise<Cost> {
  const dir = mkdtempSync(join(tmpdir(), "snack-misaki-bench-start-"));
  const worker = findVenvPython() ? ["--engine", "scripted"] : ["--no-python"];
  const options = ["--free-ports", "--json", "--dir", dir, ...worker];
  const startedAt = performance.now();
  const shell = spawn("sh", ["-c", script, "sh", "npm", "--silent", "start", "--", ...options], {
    detached: true,
    stdio: ["ignore", "pipe", "ignore"],
    env: { ...process.env, LC_ALL: "C" },
  });
  const closed = once(shell, "close");
  let running = true;
  const stop = () => {
    if (running && shell.pid !== undefined) process.kill(-shell.pid, "SIGINT");
    running = false;
  };
  process.once("exit", stop);
  try {
    const lines = createInterface(shell.stdout)[Symbol.asyncIterator]();
    await talk(JSON.parse(await nextLine(lines)));
    const wallMs = performance.now() - startedAt;
    stop();
    await nextLine(lines);
    const cpuMs = parseTimes(await nextLine(lines));
    return { cpuMs, wallMs };
  } finally {
    stop();
    await closed;
    process.off("exit", stop);
    rmSync(dir, { recursive: true, force: true });
  }
}

async function nextLine(lines: AsyncIterator<string>): Promise<string> {
  const { value, done } = await lines.next();
  if (done) throw new Error("npm start ended before the first reply");
  return value;
}

async function talk(started: { pageUrl: string }): Promise<void> {
  const api = await customerApi("free", started, ProgramOutputs.parse(started));
  for await (const item of chat(await api.session(), { text: "こんばんは" })) if ("done" in item) return;
  throw new Error("The chat ended without a reply");
}

/** Sum of the user and system time in one line of the shell's `times`, such as `0m1.230s 0m0.450s`, in milliseconds. */
function parseTimes(line: string): number {
  const times = [...line.matchAll(/(\d+)m([\d.]+)s/g)];
  if (times.length !== 2) throw new Error(`Expected two times from the shell, got "${line}"`);
  return times.reduce((sum, [, minutes, seconds]) => sum + (Number(minutes) * 60 + Number(seconds)) * 1000, 0);
}
