import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type BuildOptions, buildSync } from "esbuild";
import { vipProviders } from "../contract/relay";

/** Names of the Lambda functions. The source of each is `functions/<name>.ts`. */
export const functionNames = [
  "session",
  "guest",
  "plan",
  "checkout",
  "portal",
  "sync",
  "webhook",
  "reconciler",
  "registryRefresh",
  "admin",
  "relay",
  "poller",
  "canary",
] as const;

export type FunctionName = (typeof functionNames)[number];

/**
 * Additional bundles that a function loads only when it needs them: `relay.cjs` requires
 * `./relay/providers/<name>.cjs`. Each external LLM has its own bundle, so that a chat loads the SDK of one vendor
 * only.
 */
export const lazyBundles: Partial<Record<FunctionName, readonly string[]>> = {
  relay: [...vipProviders, "openaiSdk"].map((name) => `relay/providers/${name}`),
};

/**
 * The OpenAI SDK in a separate bundle, because two providers use it and it is a quarter of the relay's archive. The
 * providers' bundles require it as `./openaiSdk.cjs`.
 */
const openaiSdk = "functions/relay/providers/openaiSdk";

/**
 * Sources of the dynamic providers. They need bundles, because Pulumi runs them in a process that cannot load
 * TypeScript.
 */
const providers = ["runpod/provider", "stripe/provider", "infra/ticketKeyProvider"] as const;

/** esbuild options of a bundle: one CommonJS file for Lambda's Node, with all its dependencies. */
export const bundleOptions: BuildOptions = {
  bundle: true,
  minify: true,
  platform: "node",
  // The SDKs ship ES modules and CommonJS. esbuild removes unused code from ES modules only.
  mainFields: ["module", "main"],
  alias: {
    "@aws-sdk/credential-provider-node": "./infra/lambdaCredentials.ts",
    "@aws-sdk/endpoint-cache": "./infra/lambdaEndpointCache.ts",
    "openai/client": "./openaiSdk.cjs",
  },
  external: ["./openaiSdk.cjs"],
  target: "node24",
  format: "cjs",
  legalComments: "none",
  logLevel: "warning",
};

/** Path of a source file's bundle, relative to the program's folder: `./.build/functions/session.cjs`. */
export function bundlePath(source: string): string {
  return `./.build/${source}.cjs`;
}

/**
 * Bundles every function and every provider into one file each, in `.build/`. Does nothing when no source has changed.
 * npm's `prepare` script calls this, so that the bundles exist after `npm ci`. The program calls it at each start, so
 * that the bundles are never stale.
 */
export function buildBundles(programDir: string = process.cwd()): void {
  const functions = [...functionNames, ...Object.values(lazyBundles).flat()];
  const ofRelay = ["relay", ...(lazyBundles.relay ?? [])].map((name) => `functions/${name}`);
  const sources = [...functions.map((name) => `functions/${name}`), ...providers];
  const stamp = join(programDir, ".build", "sources.sha256");
  const hash = sourcesHash(programDir);
  const isThere = (source: string) => existsSync(join(programDir, bundlePath(source)));
  if (isSame(stamp, Buffer.from(hash)) && sources.every(isThere)) return;
  // With keepNames, a log shows the class of an error that a function throws. The relay throws no errors, so its large
  // bundle omits the names.
  for (const keepNames of [true, false]) {
    const { outputFiles } = buildSync({
      ...bundleOptions,
      keepNames,
      absWorkingDir: programDir,
      entryPoints: sources.filter((source) => ofRelay.includes(source) !== keepNames).map(entryPointOf),
      outdir: ".build",
      outExtension: { ".js": ".cjs" },
      write: false,
    });
    for (const { path, contents } of outputFiles) write(path, contents);
  }
  write(stamp, Buffer.from(hash));
}

/** esbuild's entry point of a bundle. */
export function entryPointOf(source: string): { in: string; out: string } {
  return { in: source === openaiSdk ? "./node_modules/openai/client.mjs" : `./${source}.ts`, out: source };
}

/** Hash of all inputs of the bundles: our own sources, and the lockfile for the packages. */
function sourcesHash(programDir: string): string {
  const hash = createHash("sha256");
  const files = ["functions", "contract", "dynamic", "runpod", "stripe", "infra"].flatMap((folder) =>
    readdirSync(join(programDir, folder), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .map((file) => join(folder, file)),
  );
  for (const file of [...files.sort(), "package-lock.json"]) {
    hash.update(`${file}\n`).update(readFileSync(join(programDir, file)));
  }
  return hash.digest("hex");
}

/** Writes a temporary file and renames it, because another program may start at the same time and read the file. */
function write(path: string, contents: Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true });
  const scratch = `${path}.${process.pid}`;
  writeFileSync(scratch, contents);
  renameSync(scratch, path);
}

function isSame(path: string, contents: Uint8Array): boolean {
  try {
    return readFileSync(path).equals(contents);
  } catch {
    return false;
  }
}
