import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import type { ImageConfig } from "./buildah";

/** Shell script that enters the image's root and working folder. The command becomes process 1, as in docker. */
const ENTER = `root=$1 dir=$2; shift 2
mount --rbind /dev "$root/dev" && mount -t proc proc "$root/proc" && exec chroot "$root" env -C "$dir" -- "$@"`;

/**
 * Running container of an image. The container has separate mounts and process ids. It shares this machine's network.
 */
export class Container {
  /** Exit code, or the signal that ended the container. */
  readonly ended: Promise<number | NodeJS.Signals>;
  private readonly child: ChildProcess;

  /**
   * Starts the container.
   *
   * @param root folder of the container's file system
   * @param env overrides the image's variables. The container does not inherit the variables of this process
   * @param logFile file for the container's output
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
        // Puts the container into a separate process group, so that Ctrl-C does not reach it.
        detached: true,
      },
    );
    closeSync(log);
    this.ended = new Promise((resolve, reject) => {
      this.child.once("error", reject);
      this.child.once("exit", (code, signal) => resolve(code ?? signal ?? 1));
    });
  }

  /** Sends SIGTERM to process 1, as `docker stop` does. Does nothing when the container has ended. */
  terminate(): void {
    const { pid, exitCode, signalCode } = this.child;
    if (exitCode !== null || signalCode !== null) return;
    const [first] = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ");
    if (first) process.kill(Number(first), "SIGTERM");
  }

  /** Kills all processes of the container. */
  kill(): void {
    this.child.kill("SIGKILL");
  }

  /** Reads the container's output. */
  log(): string {
    return readFileSync(this.logFile, "utf8");
  }
}
