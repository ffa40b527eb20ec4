import { execFile } from "node:child_process";
import { basename } from "node:path";
import { promisify } from "node:util";
import type { Threads } from "./garbage";

/** A running process. */
export interface Process {
  pid: number;
  parent: number;
  /** Resident memory in bytes. */
  bytes: number;
  /** Start time. The start time and `pid` together identify a process, because the system reuses ids. */
  started: string;
  /** Name of the program or of its script, such as `run_worker.py`. */
  name: string;
}

const run = promisify(execFile);
const FIELDS = ["pid=", "ppid=", "rss=", "stat=", "lstart=", "args="];

/** Lists all processes of this machine, without zombies. */
export async function listProcesses(): Promise<Process[]> {
  const { stdout } = await run("ps", ["-A", "-ww", "-o", FIELDS.join(",")], { maxBuffer: 64 * 1024 * 1024 });
  return stdout.split("\n").flatMap(parse);
}

/** The process `root` and all its descendants. Empty when the process has ended. */
export function treeOf(root: number, all: readonly Process[]): Process[] {
  const ids = new Set([root]);
  for (const id of ids) for (const { pid, parent } of all) if (parent === id) ids.add(pid);
  return all.filter(({ pid }) => ids.has(pid));
}

/** Whether two entries are the same process. */
export function isSame(one: Process, other: Process): boolean {
  return one.pid === other.pid && one.started === other.started;
}

/** Memory of the local cloud at one moment. */
export interface Measurement {
  processes: readonly Process[];
  /** Id of the process with the containers. */
  main: number;
  /** Lambda's containers: worker threads of the main process. They stay warm. */
  containers: Threads;
}

/**
 * Returns the largest growth of a program's resident memory between two measurements, in percent. Returns 0 when no
 * program has grown. Compares the average process of each program, because workers are replaced. Does not count the
 * memory of new containers: their number depends on the number of concurrent calls.
 */
export function memoryGrowth(before: Measurement, after: Measurement): number {
  const newBytes = (after.containers.count - before.containers.count) * before.containers.averageBytes;
  const comparable = after.processes.map((one) =>
    one.pid === after.main ? { ...one, bytes: one.bytes - newBytes } : one,
  );
  const [old, now] = [averages(before.processes), averages(comparable)];
  const growths = [...now].map(([name, bytes]) => (bytes / (old.get(name) ?? bytes) - 1) * 100);
  return Math.max(0, ...growths.map((percent) => Math.round(percent * 10) / 10));
}

/** Average resident memory in bytes of the processes of each program, by name. */
export function averages(processes: readonly Process[]): Map<string, number> {
  const groups = Map.groupBy(processes, ({ name }) => name);
  const average = (group: Process[]) => group.reduce((sum, { bytes }) => sum + bytes, 0) / group.length;
  return new Map([...groups].map(([name, group]) => [name, average(group)]));
}

function parse(line: string): Process[] {
  const [, pid, parent, kilobytes, state, started, args = ""] =
    /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+((?:\S+\s+){4}\S+)\s+(.*)$/.exec(line) ?? [];
  if (!started || state?.startsWith("Z")) return [];
  const numbers = { pid: Number(pid), parent: Number(parent), bytes: Number(kilobytes) * 1024 };
  return [{ ...numbers, started, name: nameOf(args) }];
}

/** Name of the script that an interpreter runs, or name of the program. */
function nameOf(args: string): string {
  const words = args.split(/\s+/);
  const script = words.findLast((word) => /\.(?:cjs|mjs|js|ts|py)$/.test(word));
  return basename(script ?? words[0] ?? "");
}
