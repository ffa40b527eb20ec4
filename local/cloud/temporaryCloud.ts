import { mkdtempSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import type { EngineChoice } from "../llm/engineOption";
import type { LocalCloud, LocalCloudOptions } from "./cloud";
import type { ProgramOutputs } from "./outputs";
import { bringUp, openLocalCloud } from "./program";

/**
 * Runs `up` of the program in a new local cloud on free ports, calls `use`, and then removes the local cloud.
 *
 * @param options.engine default: Ollama if it runs, otherwise the scripted engine
 * @param options.progress called with each line of progress
 * @param options.config overrides of `Pulumi.local.yaml`, by path
 * @param options.timers timers of the local AWS. Default: real time
 * @param options.withoutPython uses the canned worker
 * @param use gets the running cloud, the program's outputs, and a function that runs `up` with changes of the
 * configuration, by path
 * @returns the result of `use`
 */
export async function inTemporaryCloud<T>(
  {
    engine,
    progress,
    config,
    ...more
  }: { engine: EngineChoice | undefined; progress: (line: string) => void } & Pick<
    LocalCloudOptions,
    "config" | "timers" | "withoutPython"
  >,
  use: (
    cloud: LocalCloud,
    outputs: ProgramOutputs,
    redeploy: (overrides: Record<string, unknown>) => Promise<ProgramOutputs>,
  ) => Promise<T>,
): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), "snack-misaki-"));
  const programDir = process.cwd();
  const remove = () => rmSync(dir, { recursive: true, force: true });
  // A signal ends the process before the `finally` block runs. Therefore the exit also removes the folder.
  process.once("exit", remove);
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => process.exit(128 + constants.signals[signal]));
  let cloud: LocalCloud | undefined;
  try {
    progress("starting the local cloud and evaluating the program");
    const options = {
      programDir,
      dir,
      ...more,
      freePorts: true,
      progress,
      ...(engine && { engine }),
      ...(config && { config }),
    };
    const outputs = await openLocalCloud(options, (started) => {
      cloud = started;
    });
    if (!cloud) throw new Error("The local cloud has not started");
    const running = cloud;
    return await use(cloud, outputs, (overrides) => bringUp(running, programDir, dir, overrides));
  } finally {
    await cloud?.close();
    remove();
  }
}
