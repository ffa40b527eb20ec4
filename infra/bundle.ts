import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type BuildOptions, buildSync } from "esbuild";

/** The functions that run in Lambda: `functions/<name>.ts`. */
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
] as const;

/** A function that runs in Lambda. */
export type FunctionName = (typeof functionNames)[number];

/** Code of dynamic providers, which runs in a process of Pulumi's that knows no TypeScript. */
const providers = ["runpod/provider", "stripe/provider", "infra/ticketKeyProvider"] as const;

/** How a bundle is made: one CommonJS file for Lambda's Node, nothing outside it. */
export const bundleOptions: BuildOptions = {
  bundle: true,
  minify: true,
  platform: "node",
  // The SDKs ship ES modules beside CommonJS; only those can be tree-shaken.
  mainFields: ["module", "main"],
  alias: { "@aws-sdk/credential-provider-node": "./infra/lambdaCredentials.ts" },
  target: "node24",
  format: "cjs",
  legalComments: "none",
  logLevel: "warning",
};

/** Where the bundle of a source file is, from the program's folder: `.build/functions/session.cjs`. */
export function bundlePath(source: string): string {
  return `./.build/${source}.cjs`;
}

/**
 * Bundles every function and provider with esbuild into `.build/`, one file each, all dependencies inside.
 * npm's `prepare` calls it so that the files are there after `npm ci`, and the program calls it again at each start so
 * that they are never stale; nothing is done when no source has changed.
 */
export function buildBundles(programDir: string = process.cwd()): void {
  const sources = [...functionNames.map((name) => `functions/${name}`), ...providers];
  const stamp = join(programDir, ".build", "sources.sha256");
  const hash = sourcesHash(programDir);
  const isThere = (source: string) => existsSync(join(programDir, bundlePath(source)));
  if (isSame(stamp, Buffer.from(hash)) && sources.every(isThere)) return;
  const { outputFiles } = buildSync({
    ...bundleOptions,
    absWorkingDir: programDir,
    entryPoints: sources.map((source) => ({ in: `./${source}.ts`, out: source })),
    outdir: ".build",
    outExtension: { ".js": ".cjs" },
    write: false,
  });
  for (const { path, contents } of outputFiles) write(path, contents);
  write(stamp, Buffer.from(hash));
}

/** One hash over everything a bundle is made of: our own sources, and the lockfile for all the others. */
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

/** Whole and renamed into place: two programs may start at once. */
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
