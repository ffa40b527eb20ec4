import { once } from "node:events";
import { join, resolve } from "node:path";
import { stripVTControlCharacters } from "node:util";
import type { Children } from "./children";
import { EngineError } from "./error";
import type { EngineOptions } from "./options";

/** How many resources the program and a remote component work on at once. */
export const parallel = 16;

/** The environment of a child process: this process's own, caches of compiled code beside the state, and what it needs. */
export function childEnv({ programDir, env }: EngineOptions, needs: Record<string, string>): NodeJS.ProcessEnv {
  const cache = resolve(programDir, ".build/cache");
  return {
    ...process.env,
    NODE_COMPILE_CACHE: join(cache, "node"),
    TS_NODE_CACHE_DIRECTORY: join(cache, "ts-node"),
    ...needs,
    ...env,
  };
}

/**
 * Runs the program to its end through the SDK's own entry point, as Pulumi's language host does.
 *
 * @param address where the monitor and the engine are served
 * @param errors what the program has reported as errors, filled by the engine service
 * @throws EngineError with the program's own message
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
  if (signal !== null) throw new EngineError(`The program was ended by ${signal}.`);
  const [first] = errors;
  throw new EngineError(
    first === undefined ? stderr.trim() || `The program ended with code ${code}.` : messageOf(first),
  );
}

/** The message itself, without the SDK's introduction and without stack frames. */
function messageOf(report: string): string {
  return stripVTControlCharacters(report)
    .replace(/^Running program '.*' failed with an unhandled exception:\s*/, "")
    .replace(/\n\s+at [\s\S]*$/, "")
    .replace(/^(?:<ref \*\d+> )?(?:Uncaught )?Error: /, "")
    .trim();
}
