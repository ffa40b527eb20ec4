import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { build } from "esbuild";
import { root } from "../../cli/root";
import { exitOnTerminate, runInBackground } from "../support/childProcess";

const START_TIMEOUT_MS = 30_000;

/** The running awsx provider. */
export interface Awsx {
  /** The gRPC port on 127.0.0.1, for `PULUMI_DEBUG_PROVIDERS=awsx:<port>`. */
  port: number;
  /** Stops the process. */
  close(): Promise<void>;
}

/**
 * Starts the awsx provider as a child process.
 *
 * @throws Error with the last lines on stderr, when the process ends early or prints no port within 30 s
 */
export async function startAwsx(): Promise<Awsx> {
  const child = spawn(process.execPath, [exitOnTerminate, "--eval", await bundle()], {
    cwd: root,
    env: { ...process.env, NODE_COMPILE_CACHE: join(root, ".build/cache/node") },
    stdio: ["pipe", "pipe", "pipe"],
  });
  runInBackground(child);
  const exited = once(child, "exit");
  const errors: string[] = [];
  createInterface(child.stderr).on("line", (line) => {
    errors.push(line);
    if (errors.length > 20) errors.shift();
  });
  const close = async () => {
    child.kill();
    await exited;
  };
  let timer: NodeJS.Timeout | undefined;
  try {
    const port = await new Promise<number>((resolve, reject) => {
      const fail = (reason: string) => reject(new Error(`The awsx provider ${reason}. ${errors.join("\n")}`));
      timer = setTimeout(() => fail("did not start within 30 s"), START_TIMEOUT_MS);
      child.once("error", reject);
      child.once("exit", (code) => fail(`exited with code ${code}`));
      createInterface(child.stdout).once("line", (line) => resolve(Number(line)));
    });
    return { port, close };
  } catch (error) {
    if (child.exitCode === null && child.pid !== undefined) await close();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Bundles the provider to plain JavaScript. A TypeScript loader in the child would triple its start time. */
async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(root, "local/awsx/provider.ts")],
    bundle: true,
    packages: "external",
    platform: "node",
    format: "cjs",
    write: false,
  });
  return outputFiles.map(({ text }) => text).join("");
}
