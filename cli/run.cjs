// Runs one of our TypeScript commands: `node cli/run.cjs <entry> [arguments]`, in the repository's folder.
//
// Bundles the entry with esbuild, without packages, and keeps the bundle in `.build/` until a source changes. A bundle
// starts three times faster than a loader that hooks into every import. Node caches the compiled code for the next
// start.
"use strict";

const [major] = process.versions.node.split(".").map(Number);
if (major < 24) {
  console.error(
    `This command needs Node 24, but it runs with ${process.version}. Run "npm ci", which installs Node 24.`,
  );
  console.error(
    "Then run commands through npm (npm start, npm test …). " +
      `If npm cannot install Node 24 on ${process.platform}-${process.arch}, see nodejs.org.`,
  );
  process.exit(1);
}

const { enableCompileCache } = require("node:module");
const { resolve } = require("node:path");
const buildWhenStale = require("./buildWhenStale.cjs");

enableCompileCache(resolve(".build/cache/node"));

const [entry, ...args] = process.argv.slice(2);
const file = resolve(".build/commands", `${entry.replace(/\W+/g, "-")}.cjs`);
buildWhenStale(file, () => {
  const { outputFiles, metafile } = require("esbuild").buildSync({
    entryPoints: [entry],
    bundle: true,
    packages: "external",
    platform: "node",
    format: "cjs",
    target: "node24",
    keepNames: true,
    outfile: file,
    sourcemap: "linked",
    logLevel: "error",
    metafile: true,
    write: false,
  });
  return { outputFiles, sources: ["package-lock.json", ...Object.keys(metafile.inputs)] };
});
if (process.env.DEBUG) process.setSourceMapsEnabled(true);
process.argv = [process.execPath, file, ...args];
require(file);
