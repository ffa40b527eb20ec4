import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pipeline } from "node:stream";
import { root } from "../../cli/root";
import { bundleWhenStale } from "../support/bundleWhenStale";
import { exitOnTerminate, runInBackground } from "../support/childProcess";
import { PortInUseError } from "../support/portInUse";

/** Time limit of a start. The first start on a busy machine is slow. */
const START_TIMEOUT_MS = 120_000;

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
 * @param fixedPort default: a free port
 * @throws Error with the newest lines of stderr, when the process exits early or prints no port within two minutes
 */
export async function startAwsx(fixedPort?: number): Promise<Awsx> {
  const child = spawn(process.execPath, [exitOnTerminate, bundle()], {
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
      timer = setTimeout(
        () => fail("did not start within two minutes: close other programs, and run the command again"),
        START_TIMEOUT_MS,
      );
      child.once("error", reject);
      child.once("exit", (code) => fail(`exited with code ${code}`));
      createInterface(child.stdout).once("line", (line) => resolve(Number(line)));
    });
    if (fixedPort === undefined) return { port, close };
    const forward = await forwardPort(fixedPort, port);
    const closeAll = async () => {
      forward.close();
      await close();
    };
    return { port: fixedPort, close: closeAll };
  } catch (error) {
    if (child.exitCode === null && child.pid !== undefined) await close();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Forwards a known port to the provider. The SDK itself chooses the port on which the provider listens. */
async function forwardPort(from: number, to: number): Promise<Server> {
  const server = createServer((incoming) => {
    const outgoing = connect(to, "127.0.0.1");
    pipeline(incoming, outgoing, incoming, () => {});
  });
  server.unref();
  return new Promise((resolve, reject) => {
    server.once("error", () => reject(new PortInUseError(from, "Pulumi provider of awsx")));
    server.listen(from, "127.0.0.1", () => resolve(server));
  });
}

/**
 * Bundles the provider to plain JavaScript. A TypeScript loader in the child would triple its start time.
 *
 * @returns the path of the bundle
 */
function bundle(): string {
  return bundleWhenStale({
    entryPoints: [join(root, "local/awsx/provider.ts")],
    outfile: join(root, ".build/awsx/provider.cjs"),
    packages: "external",
    platform: "node",
    format: "cjs",
  });
}
