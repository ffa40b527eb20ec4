import { join } from "node:path";
import { type RunOptions, runProgram } from "./runProgram";

/** Start configuration of an image. */
export interface ImageConfig {
  env: Record<string, string>;
  /** Entry point and arguments. */
  command: string[];
  workingDir: string;
}

/** Runs Debian's buildah with separate storage, so that the machine's other images do not change. */
export class Buildah {
  private readonly storage: string[];

  constructor(
    dir: string,
    private readonly signal: AbortSignal,
  ) {
    this.storage = ["--root", join(dir, "storage"), "--runroot", join(dir, "run"), "--storage-driver", "vfs"];
  }

  /** Builds an image from folders only. Files of a later folder replace files of an earlier folder. */
  async fromFolders(tag: string, folders: string[]): Promise<void> {
    const container = await this.run(["from", "scratch"]);
    for (const folder of folders) await this.run(["add", "--quiet", container, folder, "/"]);
    await this.run(["commit", "--quiet", "--rm", container, tag]);
  }

  /** Builds a Dockerfile. `args` are the remaining arguments of `buildah build`. */
  async build(tag: string, args: string[], options: Omit<RunOptions, "signal">): Promise<void> {
    const build = ["build", "--isolation", "chroot", "--layers=false", "--pull=never", "--tag", tag, ...args];
    await this.run(build, options);
  }

  /** Reads an image's start configuration. */
  async config(tag: string): Promise<ImageConfig> {
    const { OCIv1 } = JSON.parse(await this.run(["inspect", "--type", "image", tag])) as {
      OCIv1: { config: { Env?: string[]; Entrypoint?: string[]; Cmd?: string[]; WorkingDir?: string } };
    };
    const { Env = [], Entrypoint = [], Cmd = [], WorkingDir } = OCIv1.config;
    const env = Object.fromEntries(Env.map((line) => [line.split("=", 1)[0] ?? "", line.slice(line.indexOf("=") + 1)]));
    return { env, command: [...Entrypoint, ...Cmd], workingDir: WorkingDir || "/" };
  }

  /** Mounts a new container of the image and returns its root folder. */
  async mount(tag: string): Promise<string> {
    return this.run(["mount", await this.run(["from", "--pull-never", tag])]);
  }

  /** Removes all containers and images of this storage. */
  async clear(): Promise<void> {
    await this.run(["rm", "--all"]);
    await this.run(["rmi", "--all", "--force"]);
  }

  private run(args: string[], options: Omit<RunOptions, "signal"> = {}): Promise<string> {
    return runProgram("buildah", [...this.storage, ...args], { ...options, signal: this.signal });
  }
}
