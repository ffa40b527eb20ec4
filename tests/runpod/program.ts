import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { bundleOptions } from "../../infra/bundle";

/** Properties of a resource as Pulumi transmits them. */
export type Properties = Record<string, unknown>;

interface Registration {
  type: string;
  /**
   * Inputs as the provider receives them. Secrets are plain values, because Pulumi's server for dynamic resources does
   * not accept secret values.
   */
  inputs: Properties;
  /** Names of the inputs that are secrets for the engine. */
  secrets: string[];
}

/**
 * A program folder with the provider's bundle. The provider's forwarding methods in the Pulumi state load the bundle
 * from this folder.
 */
export interface ProgramFolder {
  folder: string;
  /** Edits the provider: inserts a line at the top of the bundle. */
  edit(line: string): Promise<void>;
  remove(): Promise<void>;
}

/** Creates a program folder and bundles a provider into it. */
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

/** Registrations of a program with one resource of each type. */
export interface Registered {
  registryAuth: Registration;
  secret: Registration;
  template: Registration;
  endpoint: Registration;
  /** Outputs of the endpoint that the program can read. */
  endpointOutputs: Properties;
}

let registered: Promise<Registered> | undefined;

/** Runs the resource classes in a separate process. Later calls return the result of the first call. */
export function readRegistrations(): Promise<Registered> {
  registered ??= runResourceClasses();
  return registered;
}

async function runResourceClasses(): Promise<Registered> {
  const { stdout } = await promisify(execFile)(process.execPath, ["tests/runpod/registrations.cjs"]);
  const { registered, endpointOutputs } = JSON.parse(stdout);
  const [registryAuth, secret, template, endpoint] = registered.map(withoutSecrets);
  return { registryAuth, secret, template, endpoint, endpointOutputs };
}

/** Property name by which the Pulumi SDK marks a secret in the inputs. */
const SECRET = "4dabf18193072939515e22adb298388d";

function withoutSecrets({ type, inputs }: { type: string; inputs: Properties }): Registration {
  const isSecret = (value: unknown): value is { value: unknown } =>
    typeof value === "object" && value !== null && SECRET in value;
  const plain = Object.entries(inputs).map(([name, value]) => [name, isSecret(value) ? value.value : value]);
  const secrets = Object.keys(inputs).filter((name) => isSecret(inputs[name]));
  return { type, inputs: Object.fromEntries(plain), secrets };
}
