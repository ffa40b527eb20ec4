import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { exitOnTerminate } from "../support/exitOnTerminate";

const nodeFlags = [
  // The SDK notes a stack with every promise, and maps each frame of it to its source: a tenth of a program's time.
  "--stack-trace-limit=1",
  // Less to collect in a process that lives for seconds.
  "--max-semi-space-size=64",
  exitOnTerminate,
];
const graceMs = 1_000;

/** The child processes of one run. None outlives the run, nor this process if it exits or is interrupted meanwhile. */
export class Children {
  private readonly running = new Set<ChildProcess>();
  private readonly killAll = () => {
    for (const child of this.running) child.kill("SIGKILL");
  };
  private readonly interrupt = (signal: NodeJS.Signals) => {
    this.killAll();
    // Having listened took away the default, which is to end. Others who listen decide for themselves.
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
  };

  constructor() {
    process.once("exit", this.killAll);
    process.once("SIGINT", this.interrupt);
    process.once("SIGTERM", this.interrupt);
  }

  /** Starts a Node script with this process's own Node. */
  node(script: string, args: string[], options: SpawnOptions): ChildProcess {
    const child = spawn(process.execPath, [...nodeFlags, script, ...args], options);
    this.running.add(child);
    child.once("close", () => this.running.delete(child));
    return child;
  }

  /** Ends all of them and waits until they are gone. */
  async close(): Promise<void> {
    process.off("exit", this.killAll);
    process.off("SIGINT", this.interrupt);
    process.off("SIGTERM", this.interrupt);
    const gone = [...this.running].map((child) => once(child, "close"));
    for (const child of this.running) child.kill("SIGTERM");
    const grace = setTimeout(this.killAll, graceMs);
    await Promise.all(gone);
    clearTimeout(grace);
  }
}
