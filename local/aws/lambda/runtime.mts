/**
 * Lambda's Node runtime as a worker thread: loads the handler once, then processes one event after another. Node runs
 * this file directly and only removes the types. So this file, and every file that it imports at run time, may contain
 * only erasable TypeScript.
 */
import { access } from "node:fs/promises";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { inspect } from "node:util";
import { parentPort, workerData } from "node:worker_threads";
import { useJsonLog } from "./jsonLog.mts";
import {
  createResponseStream,
  defineGlobal,
  type Handler,
  isStreaming,
  type ResponseStream,
} from "./responseStream.mts";
import type { FromWorker, Invocation, Outcome, ToWorker } from "./sandbox.ts";

// One line per log entry, so that each entry is one event.
inspect.defaultOptions.breakLength = Number.POSITIVE_INFINITY;
defineGlobal();
let requestId = "";
if (process.env.AWS_LAMBDA_LOG_FORMAT === "JSON") useJsonLog(() => requestId);

let loaded: Promise<Handler> | undefined;
/** The stream of the current invocation. */
let response: ResponseStream | undefined;

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

async function invoke({ event, handler, context, timeoutMs }: Invocation): Promise<Outcome & { alive: boolean }> {
  const deadline = Date.now() + timeoutMs;
  requestId = context.awsRequestId ?? "";
  let run: Handler;
  let streams: boolean;
  try {
    loaded ??= load(handler);
    run = await loaded;
    streams = isStreaming(run);
  } catch (error) {
    return { error: errorPayload(error), alive: false };
  }
  const fullContext = { ...context, getRemainingTimeInMillis: () => deadline - Date.now() };
  try {
    if (streams) return { ...(await stream(run, JSON.parse(event), fullContext)), alive: true };
    return { result: JSON.stringify(await run(JSON.parse(event), fullContext)) ?? "null", alive: true };
  } catch (error) {
    return { error: errorPayload(error), alive: true };
  }
}

/** Runs a streaming handler and waits until its stream has ended. A handler that never ends the stream times out. */
async function stream(run: Handler, event: unknown, context: object): Promise<Outcome> {
  response = createResponseStream(post);
  const running = run(event, response.stream, context);
  if (!isPromise(running)) return { error: errorPayload("Streaming does not support non-async handlers.") };
  const ignored = await running;
  if (ignored !== undefined) console.warn("Streaming handlers ignore return values.");
  await response.finished;
  return { streamed: true };
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

function post(message: FromWorker, transfer: ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, transfer);
}

parentPort?.on("message", async (message: ToWorker) => {
  if (message.type === "acknowledge") return response?.acknowledge(message.bytes);
  post({ type: "outcome", ...(await invoke(message)) });
});
