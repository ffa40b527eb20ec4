import { once } from "node:events";
import { join, resolve } from "node:path";
import { stripVTControlCharacters } from "node:util";
import type { Children } from "./children";
import { EngineError } from "./error";
import type { EngineOptions } from "./options";

/** Maximum number of resources that the program or a remote component processes at the same time. */
export const parallel = 16;

/**
 * Environment of a child process: the variables of this process, cache folders for compiled code, `variables`, and
 * `options.env`.
 */
export function childEnv({ programDir, env }: EngineOptions, variables: Record<string, string>): NodeJS.ProcessEnv {
  const cache = resolve(programDir, ".build/cache");
  return {
    ...process.env,
    NODE_COMPILE_CACHE: join(cache, "node"),
    TS_NODE_CACHE_DIRECTORY: join(cache, "ts-node"),
    ...variables,
    ...env,
  };
}

/**
 * Runs the program to its end through the entry point of the SDK, as Pulumi's language host does.
 *
 * @param address address of the monitor and the engine services
 * @param errors errors that the program reported. The engine service appends to this array
 * @throws EngineError with the message of the program
 */
export async function runProgram(
  options: EngineOptions,
  dryRun: boolean,
  address: string,
  errors: readonly string[],
  children: Children,
): Promise<void> {
  const { programDir, project, stack, config, secretKeys } = options;
  const flags = {
    monitor: address,
    engine: address,
    project,
    stack,
    organization: "local",
    "root-directory": programDir,
    pwd: programDir,
    "dry-run": dryRun,
    parallel,
  };
  const args = Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`);
  const child = children.node(require.resolve("@pulumi/pulumi/cmd/run"), [...args, "."], {
    cwd: programDir,
    stdio: ["ignore", "ignore", "pipe"],
    env: childEnv(options, {
      PULUMI_NODEJS_TYPESCRIPT: "true",
      PULUMI_NODEJS_TRANSPILE_ONLY: "true",
      PULUMI_CONFIG: JSON.stringify(config),
      PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(secretKeys),
    }),
  });
  let stderr = "";
  child.stderr?.on("data", (text: Buffer) => {
    stderr = `${stderr}${text}`.slice(-4000);
  });
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  if (code === 0 && errors.length === 0) return;
  if (signal !== null) throw new EngineError(`The program was killed by ${signal}.`);
  const [first] = errors;
  throw new EngineError(
    first === undefined ? stderr.trim() || `The program exited with code ${code}.` : messageOf(first),
  );
}

/** Removes the SDK's introduction and the stack frames from the text of a reported error. */
function messageOf(report: string): string {
  return stripVTControlCharacters(report)
    .replace(/^Running program '.*' failed with an unhandled exception:\s*/, "")
    .replace(/\n\s+at [\s\S]*$/, "")
    .replace(/^(?:<ref \*\d+> )?(?:Uncaught )?Error: /, "")
    .trim();
}
