import { mkdtempSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import type { EngineName } from "../llm/engineOption";
import type { LocalCloud } from "./cloud";
import { openLocalCloud, type ProgramOutputs } from "./program";

/**
 * Brings everything up from nothing on free ports, lets `use` work with it, and leaves nothing behind.
 *
 * @param options.engine which one answers; default: Ollama where it is found, else the scripted one
 * @param options.say called with a line of progress
 * @returns what `use` gives
 */
export async function inTemporaryCloud<T>(
  { engine, say }: { engine: EngineName | undefined; say: (line: string) => void },
  use: (cloud: LocalCloud, outputs: ProgramOutputs) => Promise<T>,
): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), "snack-misaki-"));
  const programDir = process.cwd();
  const remove = () => rmSync(dir, { recursive: true, force: true });
  // Ctrl-C does not come to the `finally`.
  process.once("exit", remove);
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => process.exit(128 + constants.signals[signal]));
  let cloud: LocalCloud | undefined;
  try {
    say("starting the local cloud and evaluating the program");
    const options = { programDir, dir, freePorts: true, say, ...(engine && { engine }) };
    const outputs = await openLocalCloud(options, (started) => {
      cloud = started;
    });
    if (!cloud) throw new Error("There is no cloud");
    return await use(cloud, outputs);
  } finally {
    await cloud?.close();
    remove();
  }
}
