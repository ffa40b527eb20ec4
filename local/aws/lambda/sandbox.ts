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

/** The result as JSON, or an error in Lambda's shape. */
export type Outcome = { result: string } | { error: { errorType: string; errorMessage: string; trace?: string[] } };

/**
 * Warm workers for one version of one function. As in Lambda, a worker processes one event at a time, keeps its module
 * state between events, and is discarded when it exits or times out.
 */
export class LambdaSandbox {
  private readonly idle: Worker[] = [];
  private readonly busy = new Set<Worker>();
  private readonly waiting: (() => void)[] = [];
  private retired = false;

  constructor(
    private readonly settings: SandboxSettings,
    private readonly maxWorkers: number,
    private readonly log: (line: string) => void,
  ) {}

  /** Whether the sandbox has exactly these settings. */
  isFor(settings: SandboxSettings): boolean {
    return isDeepStrictEqual(settings, this.settings);
  }

  /** Runs one event on the next free worker. Never rejects. */
  async run(invocation: Invocation): Promise<Outcome> {
    while (this.busy.size >= this.maxWorkers) await new Promise<void>((resolve) => this.waiting.push(resolve));
    const worker = this.idle.pop() ?? this.start();
    this.busy.add(worker);
    worker.ref();
    const outcome = await once(worker, invocation);
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
      // Lambda starts its Node runtimes with this flag, so an ESM-only dependency must fail here too.
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
function once(worker: Worker, invocation: Invocation): Promise<Outcome & { alive: boolean }> {
  return new Promise((resolve) => {
    const settle = (outcome: Outcome, alive: boolean) => {
      clearTimeout(timer);
      worker.off("message", onMessage).off("error", onError).off("exit", onExit);
      resolve({ ...outcome, alive });
    };
    const fail = (errorType: string, errorMessage: string) => settle({ error: { errorType, errorMessage } }, false);
    const onMessage = (message: Outcome & { alive: boolean }) => settle(message, message.alive);
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
    worker.postMessage(invocation);
  });
}
