/**
 * Lambda's Node runtime as a worker thread: loads the handler once, then processes one event after the other. Node runs
 * this file directly and only strips the types. So the file uses only erasable TypeScript and imports no other file at
 * run time.
 */
import { access } from "node:fs/promises";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parentPort, workerData } from "node:worker_threads";
import type { Invocation } from "./sandbox.ts";

type Handler = (event: unknown, context: unknown) => unknown;

let loaded: Promise<Handler> | undefined;

async function load(name: string): Promise<Handler> {
  const dot = name.lastIndexOf(".");
  const [file, member] = [name.slice(0, dot), name.slice(dot + 1)];
  const module = await loadModule(resolve(workerData.taskRoot, file), file);
  const handler = module[member];
  if (handler === undefined) throw failure("Runtime.HandlerNotFound", `${name} is undefined or not exported`);
  if (typeof handler !== "function") throw failure("Runtime.HandlerNotFound", `${name} is not a function`);
  return handler as Handler;
}

async function loadModule(path: string, file: string): Promise<Record<string, unknown>> {
  for (const extension of [".js", ".cjs", ".mjs"]) {
    const candidate = `${path}${extension}`;
    if (!(await exists(candidate))) continue;
    return extension === ".mjs" ? import(pathToFileURL(candidate).href) : createRequire(candidate)(candidate);
  }
  throw failure("Runtime.ImportModuleError", `Error: Cannot find module '${file}'`);
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function failure(name: string, message: string): Error {
  return Object.assign(new Error(message), { name });
}

function errorPayload(error: unknown) {
  if (!(error instanceof Error)) return { errorType: typeof error, errorMessage: String(error) };
  return { errorType: error.name, errorMessage: error.message, trace: error.stack?.split("\n") ?? [] };
}

async function invoke({ event, handler, context, timeoutMs }: Invocation) {
  const deadline = Date.now() + timeoutMs;
  let run: Handler;
  try {
    loaded ??= load(handler);
    run = await loaded;
  } catch (error) {
    return { error: errorPayload(error), alive: false };
  }
  try {
    const result = await run(JSON.parse(event), { ...context, getRemainingTimeInMillis: () => deadline - Date.now() });
    return { result: JSON.stringify(result) ?? "null", alive: true };
  } catch (error) {
    return { error: errorPayload(error), alive: true };
  }
}

parentPort?.on("message", async (invocation: Invocation) => {
  parentPort?.postMessage(await invoke(invocation));
});
