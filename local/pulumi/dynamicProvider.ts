import { runInBackground } from "../support/childProcess";
import type { Children } from "./children";
import { EngineError } from "./error";
import type { EngineOptions } from "./options";
import { childEnv } from "./program";

/** Package name in the types of dynamic resources. */
export const dynamicPackage = "pulumi-nodejs";

/**
 * Time limit of one of the two attempts to start. On a busy machine the first start is slow, because it also fills the
 * cache of compiled code.
 */
const START_TIMEOUT_MS = 60_000;
const ATTEMPTS = 2;

/**
 * Starts the SDK's provider of dynamic resources in the folder of the program. If it does not answer in time, starts it
 * a second time.
 *
 * @param script script of the provider. Default: the SDK's script
 * @returns its port on 127.0.0.1
 * @throws EngineError when both starts fail
 */
export async function startDynamicProvider(
  options: EngineOptions,
  children: Children,
  { script = require.resolve("@pulumi/pulumi/cmd/dynamic-provider"), timeoutMs = START_TIMEOUT_MS } = {},
): Promise<number> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const port = await start(script, timeoutMs, options, children);
    if (port !== undefined) return port;
  }
  throw new EngineError(
    `The provider of dynamic resources did not start in two attempts of ${timeoutMs / 1000} s. The machine is too busy: ` +
      "close other programs, and run the command again.",
  );
}

/** Returns the port, or undefined when the provider does not print it in time. */
function start(
  script: string,
  timeoutMs: number,
  options: EngineOptions,
  children: Children,
): Promise<number | undefined> {
  // The SDK requires the address of an engine here but never uses it.
  const child = children.node(script, ["127.0.0.1:0"], {
    cwd: options.programDir,
    // Errors arrive over gRPC. The log on stderr only repeats them with a stack trace.
    stdio: ["ignore", "pipe", "ignore"],
    env: childEnv(options, { PULUMI_NODEJS_PROJECT: options.project, PULUMI_NODEJS_STACK: options.stack }),
  });
  runInBackground(child);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      resolve(undefined);
    }, timeoutMs);
    const fail = (reason: string) => {
      clearTimeout(timer);
      reject(new EngineError(`The provider of dynamic resources ${reason}.`));
    };
    child.stdout?.once("data", (line: Buffer) => {
      clearTimeout(timer);
      resolve(Number.parseInt(line.toString(), 10));
    });
    child.once("error", (error) => fail(`could not be started: ${error.message}`));
    child.once("close", (code) => fail(`exited with code ${code}`));
  });
}
