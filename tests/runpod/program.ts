import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { bundleOptions } from "../../infra/bundle";

/** A resource's properties as they cross Pulumi's wire. */
export type Properties = Record<string, unknown>;

interface Registration {
  type: string;
  inputs: Properties;
}

/** A folder that stands for the program's: the provider's bundle where the forwarding methods look for it. */
export interface ProgramFolder {
  folder: string;
  /** Puts a line in front of the bundle: the provider's code, edited. */
  edit(line: string): Promise<void>;
  remove(): Promise<void>;
}

/** Makes a program folder and builds a provider into it. */
export async function programFolder(name: "runpod" | "stripe" = "runpod"): Promise<ProgramFolder> {
  const folder = await mkdtemp(join(tmpdir(), `snack-${name}-`));
  const outfile = join(folder, `.build/${name}/provider.cjs`);
  const entryPoints = [resolve(`${name}/provider.ts`)];
  await build({ ...bundleOptions, entryPoints, outfile });
  return {
    folder,
    edit: async (line) => writeFile(outfile, `${line}\n${await readFile(outfile, "utf8")}`),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** What the program registers with the engine for one Template and one Endpoint, and what it sees of the endpoint. */
export interface Registered {
  template: Registration;
  endpoint: Registration;
  seen: Properties;
}

/** Runs the resource classes in a process of their own. */
export async function serialised(): Promise<Registered> {
  const { stdout } = await promisify(execFile)(process.execPath, ["tests/runpod/serialise.cjs"]);
  const { registered, seen } = JSON.parse(stdout);
  const [template, endpoint] = registered;
  return { template, endpoint, seen };
}
