import { inBackground } from "../support/background";
import type { Children } from "./children";
import { EngineError } from "./error";
import type { EngineOptions } from "./options";
import { childEnv } from "./program";

/** The package of dynamic resources' types. */
export const dynamicPackage = "pulumi-nodejs";

const startTimeoutMs = 30_000;

/**
 * Starts the SDK's own server for dynamic resources in the program's folder.
 *
 * @returns the port it listens on
 */
export function startDynamicProvider(options: EngineOptions, children: Children): Promise<number> {
  // It wants the engine's address as an argument but never uses it.
  const child = children.node(require.resolve("@pulumi/pulumi/cmd/dynamic-provider"), ["127.0.0.1:0"], {
    cwd: options.programDir,
    // What goes wrong comes back over gRPC; the log on stderr only repeats it with a stack.
    stdio: ["ignore", "pipe", "ignore"],
    env: childEnv(options, { PULUMI_NODEJS_PROJECT: options.project, PULUMI_NODEJS_STACK: options.stack }),
  });
  inBackground(child);
  return new Promise((resolve, reject) => {
    const fail = (reason: string) => reject(new EngineError(`The server for dynamic resources ${reason}.`));
    const timer = setTimeout(() => fail(`did not start within ${startTimeoutMs / 1000} s`), startTimeoutMs);
    child.stdout?.once("data", (line: Buffer) => resolve(Number.parseInt(line.toString(), 10)));
    child.once("error", (error) => fail(`could not be started: ${error.message}`));
    child.once("close", (code) => {
      clearTimeout(timer);
      fail(`ended with code ${code}`);
    });
    child.stdout?.once("data", () => clearTimeout(timer));
  });
}
