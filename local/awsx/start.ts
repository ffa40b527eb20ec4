import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { build } from "esbuild";
import { root } from "../../cli/root";
import { inBackground } from "../support/background";
import { exitOnTerminate } from "../support/exitOnTerminate";

const START_TIMEOUT_MS = 30_000;

/** The awsx stand-in, running. */
export interface Awsx {
  /** The gRPC port on 127.0.0.1, for `PULUMI_DEBUG_PROVIDERS=awsx:<port>`. */
  port: number;
  /** Ends the process. */
  close(): Promise<void>;
}

/**
 * Starts the awsx provider as a child process.
 *
 * @throws Error with what the process printed, when it ends or says nothing within 30 s
 */
export async function startAwsx(): Promise<Awsx> {
  const child = spawn(process.execPath, [exitOnTerminate, "--eval", await bundle()], {
    cwd: root,
    env: { ...process.env, NODE_COMPILE_CACHE: join(root, ".build/cache/node") },
    stdio: ["pipe", "pipe", "pipe"],
  });
  inBackground(child);
  const exited = once(child, "exit");
  const errors: string[] = [];
  createInterface(child.stderr).on("line", (line) => {
    errors.push(line);
    if (errors.length > 20) errors.shift();
  });
  const stop = async () => {
    child.kill();
    await exited;
  };
  let timer: NodeJS.Timeout | undefined;
  try {
    const port = await new Promise<number>((resolve, reject) => {
      const fail = (what: string) => reject(new Error(`The awsx provider ${what}. ${errors.join("\n")}`));
      timer = setTimeout(() => fail("did not start within 30 s"), START_TIMEOUT_MS);
      child.once("error", reject);
      child.once("exit", (code) => fail(`ended with ${code}`));
      createInterface(child.stdout).once("line", (line) => resolve(Number(line)));
    });
    return { port, close: stop };
  } catch (error) {
    if (child.exitCode === null && child.pid !== undefined) await stop();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** The provider as plain JavaScript: a TypeScript loader in the child would triple the time it takes to start. */
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
