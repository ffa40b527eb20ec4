import { join } from "node:path";
import { type Execution, execute } from "./execute";

/** What an image says of how it is started. */
export interface ImageConfig {
  env: Record<string, string>;
  /** Entry point and arguments. */
  command: string[];
  /** Folder it starts in. */
  workingDir: string;
}

/** Debian's buildah over a storage of our own, so that nothing of the machine's images is touched. */
export class Buildah {
  private readonly storage: string[];

  constructor(
    dir: string,
    private readonly signal: AbortSignal,
  ) {
    this.storage = ["--root", join(dir, "storage"), "--runroot", join(dir, "run"), "--storage-driver", "vfs"];
  }

  /** An image of nothing but these folders, the later over the earlier. */
  async fromFolders(tag: string, folders: string[]): Promise<void> {
    const container = await this.run(["from", "scratch"]);
    for (const folder of folders) await this.run(["add", "--quiet", container, folder, "/"]);
    await this.run(["commit", "--quiet", "--rm", container, tag]);
  }

  /** Builds a Dockerfile. `args` begin with what `buildah build` is told besides. */
  async build(tag: string, args: string[], how: Omit<Execution, "signal">): Promise<void> {
    await this.run(["build", "--isolation", "chroot", "--layers=false", "--pull=never", "--tag", tag, ...args], how);
  }

  /** How the image is started. */
  async config(tag: string): Promise<ImageConfig> {
    const { OCIv1 } = JSON.parse(await this.run(["inspect", "--type", "image", tag])) as {
      OCIv1: { config: { Env?: string[]; Entrypoint?: string[]; Cmd?: string[]; WorkingDir?: string } };
    };
    const { Env = [], Entrypoint = [], Cmd = [], WorkingDir } = OCIv1.config;
    const env = Object.fromEntries(Env.map((line) => [line.split("=", 1)[0] ?? "", line.slice(line.indexOf("=") + 1)]));
    return { env, command: [...Entrypoint, ...Cmd], workingDir: WorkingDir || "/" };
  }

  /** Root folder of a new container of the image. */
  async mount(tag: string): Promise<string> {
    return this.run(["mount", await this.run(["from", "--pull-never", tag])]);
  }

  /** Removes every container and image of this storage. */
  async clear(): Promise<void> {
    await this.run(["rm", "--all"]);
    await this.run(["rmi", "--all", "--force"]);
  }

  private run(args: string[], how: Omit<Execution, "signal"> = {}): Promise<string> {
    return execute("buildah", [...this.storage, ...args], { ...how, signal: this.signal });
  }
}
