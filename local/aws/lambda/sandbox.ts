import { join } from "node:path";
import { createInterface } from "node:readline";
import { isDeepStrictEqual } from "node:util";
import { Worker } from "node:worker_threads";
import { root } from "../../../cli/root";

/** Settings of a sandbox. A change of any of them needs a new sandbox. */
export interface SandboxSettings {
  /** Folder of the unpacked package. */
  taskRoot: string;
  /** The complete environment of the function. */
  env: Record<string, string>;
  memoryMb: number;
}

/** Message to the worker: one invocation. */
export interface Invocation {
  /** The event as JSON. */
  event: string;
  /** `<file>.<export>`. */
  handler: string;
  timeoutMs: number;
  /** Members of the handler's context, besides `getRemainingTimeInMillis`. */
  context: Record<string, string>;
}

/**
 * The result as JSON, a streamed response, or an error in Lambda's shape. After an error, a part of the response may
 * already have been streamed.
 */
export type Outcome =
  | { result: string }
  | { streamed: true }
  | { error: { errorType: string; errorMessage: string; trace?: string[] } };

/**
 * Messages to a worker. After an acknowledgement of some bytes, the worker may send the same number of further bytes.
 */
export type ToWorker = ({ type: "invoke" } & Invocation) | { type: "acknowledge"; bytes: number };

/** Messages from a worker. The outcome is the last message of an invocation. */
export type FromWorker =
  | { type: "start"; contentType: string }
  | { type: "chunk"; chunk: Uint8Array<ArrayBuffer> }
  | { type: "end" }
  | ({ type: "outcome"; alive: boolean } & Outcome);

/** Receives a streamed response. */
export interface ResponseSink {
  /** Called once, before the first chunk or the end. */
  start(contentType: string): void;
  /**
   * Takes a chunk. Resolves when the reader can take the next chunk. Before that, the worker sends only a few chunks.
   */
  write(chunk: Uint8Array): Promise<void>;
  /** Called when the handler has ended the stream. */
  end(): void;
}

/** Settings of one run. */
export interface RunOptions {
  /** The event waits while this number of workers is busy. */
  maxWorkers: number;
  /** Receives the response of a streaming handler. */
  sink: ResponseSink;
}

/**
 * Warm workers for one version of one function. As in Lambda, a worker processes one event at a time and keeps its
 * module state between events. A worker that exits or times out is discarded.
 */
export class LambdaSandbox {
  private readonly idle: Worker[] = [];
  private readonly busy = new Set<Worker>();
  private readonly waiting: (() => void)[] = [];
  private retired = false;

  constructor(
    private readonly settings: SandboxSettings,
    private readonly log: (line: string) => void,
  ) {}

  /** Whether the sandbox has exactly these settings. */
  isFor(settings: SandboxSettings): boolean {
    return isDeepStrictEqual(settings, this.settings);
  }

  /** Runs one event on the next free worker. Never rejects. */
  async run(invocation: Invocation, { maxWorkers, sink }: RunOptions): Promise<Outcome> {
    while (this.busy.size >= maxWorkers) await new Promise<void>((resolve) => this.waiting.push(resolve));
    const worker = this.idle.pop() ?? this.start();
    this.busy.add(worker);
    worker.ref();
    const outcome = await once(worker, invocation, sink);
    this.busy.delete(worker);
    if (outcome.alive && !this.retired) {
      worker.unref();
      this.idle.push(worker);
    } else {
      await worker.terminate();
    }
    this.waiting.shift()?.();
    return outcome;
  }

  /** Ends idle workers now, and each busy worker after its event. */
  async retire(): Promise<void> {
    this.retired = true;
    await Promise.all(this.idle.splice(0).map((worker) => worker.terminate()));
  }

  /** Ends all workers now. */
  async close(): Promise<void> {
    await this.retire();
    await Promise.all([...this.busy].map((worker) => worker.terminate()));
  }

  private start(): Worker {
    const worker = new Worker(join(root, "local/aws/lambda/runtime.mts"), {
      // Lambda starts its Node runtimes with this flag, so `require` of an ESM-only dependency must fail here too.
      execArgv: ["--no-experimental-require-module"],
      env: this.settings.env,
      workerData: { taskRoot: this.settings.taskRoot },
      resourceLimits: { maxOldGenerationSizeMb: this.settings.memoryMb },
      stdout: true,
      stderr: true,
    });
    for (const stream of [worker.stdout, worker.stderr]) createInterface(stream).on("line", this.log);
    // Without a listener, an error between two events would end this process.
    worker.on("error", () => this.forget(worker));
    worker.on("exit", () => this.forget(worker));
    return worker;
  }

  private forget(worker: Worker): void {
    const index = this.idle.indexOf(worker);
    if (index !== -1) this.idle.splice(index, 1);
  }
}

/** Sends one event and waits for the result, the exit of the worker, or the timeout. */
function once(worker: Worker, invocation: Invocation, sink: ResponseSink): Promise<Outcome & { alive: boolean }> {
  const send = (message: ToWorker) => worker.postMessage(message);
  return new Promise((resolve) => {
    let isSettled = false;
    const settle = (outcome: Outcome & { alive: boolean }) => {
      isSettled = true;
      clearTimeout(timer);
      worker.off("message", onMessage).off("error", onError).off("exit", onExit);
      resolve(outcome);
    };
    const fail = (errorType: string, errorMessage: string) =>
      settle({ error: { errorType, errorMessage }, alive: false });
    const take = async (chunk: Uint8Array) => {
      await sink.write(chunk);
      // A late acknowledgement would count for the worker's next event.
      if (!isSettled) send({ type: "acknowledge", bytes: chunk.byteLength });
    };
    const onMessage = (message: FromWorker) => {
      if (message.type === "start") sink.start(message.contentType);
      else if (message.type === "chunk") void take(message.chunk);
      else if (message.type === "end") sink.end();
      else settle(message);
    };
    const onError = (error: Error) => fail(`Runtime.${error.name}`, error.message);
    const onExit = (code: number) => fail("Runtime.ExitError", `Runtime exited with code ${code}`);
    const timer = setTimeout(() => {
      const seconds = (invocation.timeoutMs / 1000).toFixed(2);
      fail(
        "Sandbox.Timedout",
        `RequestId: ${invocation.context.awsRequestId} Error: Task timed out after ${seconds} seconds`,
      );
    }, invocation.timeoutMs);
    worker.on("message", onMessage).on("error", onError).on("exit", onExit);
    send({ type: "invoke", ...invocation });
  });
}
