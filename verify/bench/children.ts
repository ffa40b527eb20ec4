import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";

/** Processes that a benchmark starts. They end with the benchmark, even when the benchmark is interrupted. */
export class Children {
  private readonly all: ChildProcess[] = [];

  constructor() {
    process.once("exit", () => this.all.forEach(kill));
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
  }

  /** Starts a process in a separate process group. */
  start(file: string, args: string[], options: SpawnOptions): ChildProcess {
    const child = spawn(file, args, { ...options, detached: true });
    this.all.push(child);
    return child;
  }

  /** Kills all processes with their descendants and waits until they have ended. */
  async end(): Promise<void> {
    await Promise.all(this.all.map(end));
  }
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit");
  if (kill(child)) await ended;
}

/** Kills a child and all its descendants. Returns false when the child has already ended. */
function kill({ pid, exitCode, signalCode }: ChildProcess): boolean {
  if (pid === undefined || exitCode !== null || signalCode !== null) return false;
  return process.kill(-pid, "SIGKILL");
}
