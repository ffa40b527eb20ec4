import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { root } from "../../../cli/root";
import { runInBackground } from "../../support/childProcess";
import type { RunningWorker } from "./worker";

const windows = process.platform === "win32";

/** Worker process that has loaded its modules and waits for its environment. */
export interface PreparedWorker extends RunningWorker {
  /** Sends the whole environment to the worker, which then starts to take jobs. */
  begin(env: Record<string, string>): RunningWorker;
}

/**
 * Starts a process for the worker of `images/worker`. Like a container at RunPod, the process gets a new environment
 * with little more than this process's PATH.
 *
 * @param options.python interpreter with the worker's dependencies
 * @param options.dir folder for the log and the home folder
 * @param name name of the log file
 * @param platform the part of the environment that the SDK reads at import
 */
export function preparePythonWorker(
  options: { python: string; dir: string },
  name: string,
  platform: Record<string, string>,
): PreparedWorker {
  // The SDK prefers a key in ~/.runpod/config.toml to the worker's key. Therefore the worker gets a separate home
  // folder.
  const home = join(options.dir, "home");
  mkdirSync(home, { recursive: true });
  const logFile = join(options.dir, `${name}.log`);
  const log = openSync(logFile, "w", 0o600);
  const child = spawn(options.python, [join(root, "local/runpod/workers/run_worker.py")], {
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
    // When this process ends, the pipe closes, and then run_worker.py ends too.
    stdio: ["pipe", log, log],
    // A separate process group: Ctrl-C must not reach the worker, and one kill must also end the SDK's ping process.
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
      // The kill fails when all processes of the group have already ended.
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
      const ended = new AbortController();
      const kill = sleep(graceMs, undefined, { signal: ended.signal }).then(killAll, () => undefined);
      await exited;
      ended.abort();
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

/**
 * Final line of a log. The fleet reports this line as the reason of a crash. The line contains no chat message, because
 * SDK and worker do not log chat messages.
 */
function lastLine(file: string): string | undefined {
  if (!existsSync(file)) return undefined;
  return readFileSync(file, "utf8").trim().split("\n").at(-1) || undefined;
}

function pick(from: NodeJS.ProcessEnv, names: string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (from[name] === undefined ? [] : [[name, from[name]]])));
}
