import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod/mini";
import { root } from "../../cli/root";
import { ProgramOutputs } from "../../local/cloud/outputs";
import { findVenvPython } from "../../local/support/pythonEnvironment";
import { collectGarbage } from "./garbage";
import { isSame, listProcesses, type Measurement, type Process, treeOf } from "./processes";

const Started = z.extend(ProgramOutputs, {
  pageUrl: z.url(),
  worker: z.enum(["python", "canned"]),
  doubles: z.object({
    runpod: z.url(),
    stripe: z.url(),
    aws: z.object({ dynamodb: z.url(), lambda: z.url() }),
  }),
});
/** Output of `npm start -- --json`. */
export type Started = z.infer<typeof Started>;

/** Interval at which the soak looks for new processes. */
const LOOK_EVERY_MS = 2_000;
/** Time limits after SIGTERM: for the local cloud to stop, and for its last processes to end. */
const STOP_MS = 30_000;
const LAST_PROCESSES_MS = 3_000;
const MAIL_MS = 15_000;

/**
 * Environment of the local cloud. By default, glibc keeps freed memory in up to eight arenas per core, because Lambda's
 * containers are threads. With two arenas, it keeps less.
 */
const ENVIRONMENT = { NO_COLOR: "1", MALLOC_ARENA_MAX: "2" };

/** `npm start` in a separate process. */
export class SoakCloud {
  /** All processes that the soak has seen, including ended processes. */
  private readonly seen = new Map<string, Process>();
  private readonly codes = new Map<string, string>();
  private readonly looking: NodeJS.Timeout;
  private inspectorUrl = "";

  private constructor(
    readonly started: Started,
    /** Folder of the local cloud's state. */
    readonly dir: string,
    private readonly child: ChildProcess & { pid: number },
    errors: Interface,
  ) {
    errors.on("line", (line) => this.read(line));
    this.looking = setInterval(() => void this.processes().catch(() => {}), LOOK_EVERY_MS);
  }

  /**
   * Starts the local cloud on free ports, with its state in a new folder.
   *
   * @throws Error with the last output line when the local cloud does not start
   */
  static async start(): Promise<SoakCloud> {
    const dir = await mkdtemp(join(tmpdir(), "snack-misaki-soak-"));
    const worker = findVenvPython() ? ["--engine", "scripted"] : ["--no-python"];
    const options = ["--free-ports", "--json", "--dir", dir, ...worker];
    const child = spawn(
      process.execPath,
      ["--inspect=127.0.0.1:0", "cli/run.cjs", "local/commands/start.ts", ...options],
      { cwd: root, stdio: ["ignore", "pipe", "pipe"], detached: true, env: { ...process.env, ...ENVIRONMENT } },
    );
    // A signal ends this process without running the callers' `finally` blocks.
    const end = () => {
      child.kill("SIGTERM");
      rmSync(dir, { recursive: true, force: true });
    };
    process.once("exit", end);
    child.once("exit", () => process.off("exit", end));
    for (const signal of ["SIGINT", "SIGTERM"] as const)
      process.once(signal, () => process.exit(128 + constants.signals[signal]));
    const lines: string[] = [];
    const errors = createInterface(child.stderr).on("line", (line) => void lines.push(line));
    for await (const line of createInterface(child.stdout)) {
      const cloud = new SoakCloud(
        z.parse(Started, JSON.parse(line)),
        dir,
        child as typeof child & { pid: number },
        errors,
      );
      lines.forEach((earlier) => void cloud.read(earlier));
      return cloud;
    }
    await rm(dir, { recursive: true, force: true });
    throw new Error(`The local cloud did not start: ${lines.at(-1)}`);
  }

  /** The processes of the local cloud. */
  async processes(): Promise<Process[]> {
    const tree = treeOf(this.child.pid, await listProcesses());
    for (const one of tree) this.seen.set(`${one.pid} ${one.started}`, one);
    return tree;
  }

  /** Collects garbage, and then measures the used memory. */
  async measure(): Promise<Measurement> {
    const containers = await collectGarbage(this.inspectorUrl);
    return { main: this.child.pid, containers, processes: await this.processes() };
  }

  /**
   * Returns the code of the newest e-mail to a customer. Waits for the e-mail.
   *
   * @throws Error when Cognito sends no e-mail
   */
  async mailedCode(email: string): Promise<string> {
    const until = performance.now() + MAIL_MS;
    while (performance.now() < until) {
      const code = this.codes.get(email);
      if (code !== undefined) return code;
      await sleep(20);
    }
    throw new Error(`Cognito has sent no e-mail to ${email}`);
  }

  /**
   * Stops the local cloud with a signal, and removes its folder.
   *
   * @returns processes that did not stop. This method has killed them
   */
  async stop(): Promise<Process[]> {
    await this.processes();
    clearInterval(this.looking);
    const ended = this.child.exitCode === null ? once(this.child, "exit") : undefined;
    this.child.kill("SIGTERM");
    await Promise.race([ended, sleep(STOP_MS, undefined, { ref: false })]);
    const until = performance.now() + LAST_PROCESSES_MS;
    let left = await this.left();
    while (left.length > 0 && performance.now() < until) {
      await sleep(100);
      left = await this.left();
    }
    for (const { pid } of left) kill(pid);
    await rm(this.dir, { recursive: true, force: true });
    return left;
  }

  /** Processes that the soak has seen and that still run. */
  private async left(): Promise<Process[]> {
    const all = await listProcesses();
    return [...this.seen.values()].filter((one) => all.some((other) => isSame(one, other)));
  }

  private read(line: string): void {
    const [, email, code] = /^Cognito's e-mail to (\S+): code (\d+) /.exec(line) ?? [];
    if (email && code) this.codes.set(email, code);
    this.inspectorUrl ||= /^Debugger listening on (ws:\S+)/.exec(line)?.[1] ?? "";
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // The process has already ended.
  }
}
