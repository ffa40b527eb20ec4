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
  /** As the provider gets them: Pulumi's server for dynamic resources takes no secrets. */
  inputs: Properties;
  /** Names of those that are secrets to the engine. */
  secrets: string[];
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

/** What the program registers with the engine for one of each resource, and what it sees of the endpoint. */
export interface Registered {
  registryAuth: Registration;
  template: Registration;
  endpoint: Registration;
  seen: Properties;
}

/** Runs the resource classes in a process of their own. */
export async function serialised(): Promise<Registered> {
  const { stdout } = await promisify(execFile)(process.execPath, ["tests/runpod/serialise.cjs"]);
  const { registered, seen } = JSON.parse(stdout);
  const [registryAuth, template, endpoint] = registered.map(revealed);
  return { registryAuth, template, endpoint, seen };
}

const SECRET = "4dabf18193072939515e22adb298388d";

function revealed({ type, inputs }: { type: string; inputs: Properties }): Registration {
  const isSecret = (value: unknown): value is { value: unknown } =>
    typeof value === "object" && value !== null && SECRET in value;
  const plain = Object.entries(inputs).map(([name, value]) => [name, isSecret(value) ? value.value : value]);
  const secrets = Object.keys(inputs).filter((name) => isSecret(inputs[name]));
  return { type, inputs: Object.fromEntries(plain), secrets };
}
