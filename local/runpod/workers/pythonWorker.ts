import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { root } from "../../../cli/root";
import { runInBackground } from "../../support/childProcess";
import type { RunningWorker } from "./workers";

const windows = process.platform === "win32";

/** A worker that loads what it needs, then waits. */
export interface PreparedWorker extends RunningWorker {
  /** Hands it its whole environment: it works from then on. */
  begin(env: Record<string, string>): RunningWorker;
}

/**
 * Prepares the worker package of `images/worker` to run as RunPod runs the image: a process of its own, nothing of this
 * process's environment but where programs are.
 *
 * @param where.python the interpreter that has the worker's dependencies
 * @param where.dir folder for its log and its home
 * @param name of its log
 * @param platform the part of its environment that must be known from the start
 */
export function preparePythonWorker(
  where: { python: string; dir: string },
  name: string,
  platform: Record<string, string>,
): PreparedWorker {
  // An own home: the SDK would send the key of ~/.runpod/config.toml instead of the worker's.
  const home = join(where.dir, "home");
  mkdirSync(home, { recursive: true });
  const logFile = join(where.dir, `${name}.log`);
  const log = openSync(logFile, "w", 0o600);
  const child = spawn(where.python, [join(root, "local/runpod/workers/run_worker.py")], {
    cwd: root,
    env: {
      ...pick(process.env, ["PATH", "LANG", "TMPDIR", "TEMP", "SYSTEMROOT"]),
      HOME: home,
      USERPROFILE: home,
      PYTHONPATH: join(root, "images/worker/src"),
      PYTHONUNBUFFERED: "1",
      PYTHONUTF8: "1",
      ...platform,
    },
    // Its input stays open as long as this process lives; see run_worker.py.
    stdio: ["pipe", log, log],
    // A process group of its own: Ctrl-C is ours to handle, and the SDK's ping process goes with the worker.
    detached: !windows,
  });
  runInBackground(child);
  closeSync(log);
  child.stdin?.on("error", () => undefined);

  const killAll = () => {
    if (child.pid === undefined) return;
    try {
      if (windows) child.kill("SIGKILL");
      else process.kill(-child.pid, "SIGKILL");
    } catch {
      // Nothing of the group is left.
    }
  };

  const exited = new Promise<string | undefined>((done) => {
    child.once("error", (error) => done(error.message));
    child.once("exit", (code, signal) => {
      killAll();
      done(signal ? `ended by ${signal}` : (lastLine(logFile) ?? `exit code ${code}`));
    });
  });

  const running: RunningWorker = {
    exited,
    stop: async (graceMs) => {
      child.kill("SIGTERM");
      const waiting = new AbortController();
      const kill = sleep(graceMs, undefined, { signal: waiting.signal }).then(killAll, () => undefined);
      await exited;
      waiting.abort();
      await kill;
    },
  };
  return {
    ...running,
    begin: (env) => {
      child.stdin?.write(`${JSON.stringify(env)}\n`);
      return running;
    },
  };
}

/** The best explanation of a crash there is; SDK and worker log no message texts. */
function lastLine(file: string): string | undefined {
  if (!existsSync(file)) return undefined;
  return readFileSync(file, "utf8").trim().split("\n").at(-1) || undefined;
}

function pick(from: NodeJS.ProcessEnv, names: string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (from[name] === undefined ? [] : [[name, from[name]]])));
}
