import { runInBackground } from "../support/childProcess";
import type { Children } from "./children";
import { EngineError } from "./error";
import type { EngineOptions } from "./options";
import { childEnv } from "./program";

/** Package name in the types of dynamic resources. */
export const dynamicPackage = "pulumi-nodejs";

const startTimeoutMs = 30_000;

/**
 * Starts the SDK's provider of dynamic resources in the folder of the program.
 *
 * @returns its port on 127.0.0.1
 * @throws EngineError when it does not start within 30 s
 */
export function startDynamicProvider(options: EngineOptions, children: Children): Promise<number> {
  // The SDK requires the address of an engine here but never uses it.
  const child = children.node(require.resolve("@pulumi/pulumi/cmd/dynamic-provider"), ["127.0.0.1:0"], {
    cwd: options.programDir,
    // Errors come back over gRPC. The log on stderr only repeats them with a stack trace.
    stdio: ["ignore", "pipe", "ignore"],
    env: childEnv(options, { PULUMI_NODEJS_PROJECT: options.project, PULUMI_NODEJS_STACK: options.stack }),
  });
  runInBackground(child);
  return new Promise((resolve, reject) => {
    const fail = (reason: string) => reject(new EngineError(`The provider of dynamic resources ${reason}.`));
    const timer = setTimeout(() => fail(`did not start within ${startTimeoutMs / 1000} s`), startTimeoutMs);
    child.stdout?.once("data", (line: Buffer) => resolve(Number.parseInt(line.toString(), 10)));
    child.once("error", (error) => fail(`could not be started: ${error.message}`));
    child.once("close", (code) => {
      clearTimeout(timer);
      fail(`exited with code ${code}`);
    });
    child.stdout?.once("data", () => clearTimeout(timer));
  });
}
