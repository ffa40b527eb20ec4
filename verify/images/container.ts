import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import type { ImageConfig } from "./buildah";

/** Its own mounts and processes, then the image's root and working folder: what is run in it is process 1, as in docker. */
const ENTER = `root=$1 dir=$2; shift 2
mount --rbind /dev "$root/dev" && mount -t proc proc "$root/proc" && exec chroot "$root" env -C "$dir" -- "$@"`;

/** A container that runs an image's own entry point, on this machine's network. */
export class Container {
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  private readonly child: ChildProcess;

  /**
   * Starts it.
   *
   * @param root folder of its file system
   * @param env over the image's own variables; nothing of this process's
   * @param logFile gets what it says
   */
  constructor(
    root: string,
    config: ImageConfig,
    env: Record<string, string>,
    readonly logFile: string,
  ) {
    const log = openSync(logFile, "w");
    const isolated = ["--mount", "--pid", "--fork", "--kill-child"];
    this.child = spawn(
      "unshare",
      [...isolated, "sh", "-c", ENTER, "enter", root, config.workingDir, ...config.command],
      {
        env: { ...config.env, ...env },
        stdio: ["ignore", log, log],
        // Ctrl-C is ours to handle.
        detached: true,
      },
    );
    closeSync(log);
    this.ended = new Promise((resolve, reject) => {
      this.child.once("error", reject);
      this.child.once("exit", (code, signal) => resolve(code ?? signal ?? 1));
    });
  }

  /** Sends SIGTERM to its first process, as `docker stop` does. One that has ended stays so. */
  terminate(): void {
    const { pid, exitCode, signalCode } = this.child;
    if (exitCode !== null || signalCode !== null) return;
    const [first] = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ");
    if (first) process.kill(Number(first), "SIGTERM");
  }

  /** Ends it with everything in it. */
  kill(): void {
    this.child.kill("SIGKILL");
  }

  /** What it has said. */
  log(): string {
    return readFileSync(this.logFile, "utf8");
  }
}
