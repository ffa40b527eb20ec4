import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, describe, expect, it } from "vitest";
import { createApi } from "../../client";
import { customers } from "../../local/cloud/customers";
import type { ProgramOutputs } from "../../local/cloud/program";
import { signedIn } from "../../local/visitor/signedIn";

const dir = mkdtempSync(join(tmpdir(), "snack-misaki-start-"));
const started: ChildProcess[] = [];

afterAll(() => {
  for (const child of started) child.kill("SIGKILL");
  rmSync(dir, { recursive: true, force: true });
});

/** `npm start` as the terminal runs it: in a process group of its own, which Ctrl-C interrupts as a whole. */
function npmStart(...args: string[]) {
  const child = spawn(process.execPath, ["cli/run.cjs", "local/commands/start.ts", "--dir", dir, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  started.push(child);
  return child;
}

type Ready = ProgramOutputs & { pageUrl: string };

async function ready(child: ChildProcess): Promise<Ready> {
  if (!child.stdout) throw new Error("no stdout");
  for await (const line of createInterface(child.stdout)) return JSON.parse(line) as Ready;
  throw new Error("npm start ended before it was ready");
}

async function ctrlC(child: ChildProcess): Promise<number | null> {
  const exited = once(child, "exit");
  process.kill(-Number(child.pid), "SIGINT");
  const [code] = await exited;
  return code as number | null;
}

/** The process and everything that came from it: the engine's children, the awsx provider, the workers. */
function family(pid: number): number[] {
  const rows = execFileSync("ps", ["-eo", "pid=,ppid=,stat="], { encoding: "utf8" }).trim().split("\n");
  const processes = rows.map((row) => row.trim().split(/\s+/)).filter(([, , stat]) => !stat?.startsWith("Z"));
  const known = new Set([pid]);
  for (const one of known) {
    for (const [child, parent] of processes) if (Number(parent) === one) known.add(Number(child));
  }
  return processes.map(([one]) => Number(one)).filter((one) => known.has(one));
}

/** Those of them that are still there. */
function leftovers(pids: number[]): number[] {
  return pids.filter((pid) => family(pid).includes(pid));
}

/** Listens on a port, unless somebody else on this machine does already. Gives the way to let go of it. */
async function take(port: number): Promise<() => Promise<void>> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.once("error", () => resolve());
    server.listen(port, "127.0.0.1", resolve);
  });
  return () => new Promise((resolve) => server.close(() => resolve()));
}

/** What a start that fails says, which is one line. */
async function failure(child: ChildProcess): Promise<string> {
  let stderr = "";
  child.stderr?.on("data", (text) => {
    stderr += text;
  });
  const [code] = await once(child, "close");
  expect(code).toBe(1);
  expect(stderr.trim().split("\n")).toHaveLength(1);
  return stderr;
}

async function vipPlan(outputs: Ready) {
  const vip = customers.find(({ label }) => label === "vip");
  if (!vip) throw new Error("no vip");
  const { getIdToken } = await signedIn(outputs, outputs.pageUrl, vip);
  return createApi({ apiUrl: outputs.apiUrl, getIdToken }).plan();
}

describe("npm start", () => {
  it("remembers the customers over a restart and leaves no process behind", async () => {
    const first = npmStart("--free-ports", "--json");
    const before = await vipPlan(await ready(first));
    expect(before).toMatchObject({ plan: "vip", updated_at: expect.any(String) });
    // What another start must not do meanwhile: write over the state, or wipe it.
    for (const args of [["--free-ports"], ["--free-ports", "--reset"]]) {
      const other = await failure(npmStart(...args));
      expect(other).toMatch(
        / is in use by another npm start \(process \d+\)\. Stop that one, or add --free-ports --dir/,
      );
    }
    const running = family(Number(first.pid));
    expect(running.length).toBeGreaterThan(1);
    expect(await ctrlC(first)).toBe(0);
    expect(leftovers(running)).toEqual([]);

    const second = npmStart("--free-ports", "--json");
    expect(await vipPlan(await ready(second))).toEqual(before);
    const runningAgain = family(Number(second.pid));
    expect(await ctrlC(second)).toBe(0);
    expect(leftovers(runningAgain)).toEqual([]);
  });

  it("names the port that is in use, and what to do", async () => {
    const release = await take(4101);
    try {
      expect(await failure(npmStart())).toMatch(
        /Port \d+ \([\w ]+\) is in use\. Stop what listens there, or run npm start -- --free-ports\./,
      );
    } finally {
      await release();
    }
  });

  it("starts after a first start that failed before it made anything", async () => {
    const fresh = join(dir, "fresh");
    const release = await take(4102);
    expect(await failure(npmStart("--dir", fresh))).toContain("is in use");
    await release();
    const child = npmStart("--dir", fresh, "--free-ports", "--json");
    await ready(child);
    expect(await ctrlC(child)).toBe(0);
  });

  it("says what to do when the stack's state is gone and the cloud's is not", async () => {
    rmSync(join(dir, "stack.json"));
    expect(await failure(npmStart("--free-ports"))).toMatch(
      /stack\.json is missing\. Start once with: npm start -- --reset/,
    );
  });
});
