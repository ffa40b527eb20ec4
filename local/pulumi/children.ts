import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { exitOnTerminate } from "../support/childProcess";

const nodeFlags = [
  // For every promise the SDK records a stack trace and maps each frame to the source. All frames would take a tenth of
  // the program's time.
  "--stack-trace-limit=1",
  // A larger young generation reduces the garbage collection of a process that lives for seconds.
  "--max-semi-space-size=64",
  exitOnTerminate,
];
const graceMs = 1_000;

/**
 * Child processes of one run. They end when the run ends, when this process exits or is interrupted, and when the
 * signal is aborted.
 */
export class Children {
  private readonly running = new Set<ChildProcess>();
  private readonly killAll = () => {
    for (const child of this.running) child.kill("SIGKILL");
  };
  private readonly interrupt = (signal: NodeJS.Signals) => {
    this.killAll();
    // By default a signal ends this process, but a listener disables the default. So this listener ends the process,
    // unless another listener exists, which then decides.
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  };

  constructor(private readonly signal?: AbortSignal) {
    signal?.addEventListener("abort", this.killAll);
    process.once("exit", this.killAll);
    process.once("SIGINT", this.interrupt);
    process.once("SIGTERM", this.interrupt);
  }

  /** Starts a script with the Node of this process. */
  node(script: string, args: string[], options: SpawnOptions): ChildProcess {
    const child = spawn(process.execPath, [...nodeFlags, script, ...args], options);
    this.running.add(child);
    child.once("close", () => this.running.delete(child));
    if (this.signal?.aborted) child.kill("SIGKILL");
    return child;
  }

  /** Ends all child processes and waits for their exit. */
  async close(): Promise<void> {
    this.signal?.removeEventListener("abort", this.killAll);
    process.off("exit", this.killAll);
    process.off("SIGINT", this.interrupt);
    process.off("SIGTERM", this.interrupt);
    const exits = [...this.running].map((child) => once(child, "close"));
    for (const child of this.running) child.kill("SIGTERM");
    const grace = setTimeout(this.killAll, graceMs);
    await Promise.all(exits);
    clearTimeout(grace);
  }
}
