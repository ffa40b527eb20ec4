// Runs a TypeScript command of ours: `node cli/run.cjs <entry> [arguments]`, from the repository's folder.
//
// The entry is bundled by esbuild, packages left outside, and kept in `.build/` until a source changes. That starts three
// times faster than a loader that hooks into every import, and the compiled code is cached for the next start.
"use strict";

const [major] = process.versions.node.split(".").map(Number);
if (major < 24) {
  console.error(
    `Node 24 is needed; this is ${process.version}. Run the command through npm (npm start, npm test …), which`,
  );
  console.error(
    `brings it. Where npm has none for ${process.platform}-${process.arch}, install it from https://nodejs.org.`,
  );
  process.exit(1);
}

const { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } = require("node:fs");
const { enableCompileCache } = require("node:module");
const { dirname, resolve } = require("node:path");

enableCompileCache(resolve(".build/cache/node"));

const [entry, ...args] = process.argv.slice(2);
const file = resolve(".build/commands", `${entry.replace(/\W+/g, "-")}.cjs`);
const stamp = `${file}.json`;
if (!isFresh()) bundle();
if (process.env.DEBUG) process.setSourceMapsEnabled(true);
process.argv = [process.execPath, file, ...args];
require(file);

/** Whether the bundle is of the sources as they are: each as old as it was then, none missing. */
function isFresh() {
  try {
    const sources = Object.entries(JSON.parse(readFileSync(stamp, "utf8")));
    return statSync(file).isFile() && sources.every(([source, mtimeMs]) => statSync(source).mtimeMs === mtimeMs);
  } catch {
    return false;
  }
}

function bundle() {
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
  const sources = ["package-lock.json", ...Object.keys(metafile.inputs)];
  const times = Object.fromEntries(sources.map((source) => [source, statSync(source).mtimeMs]));
  for (const { path, contents } of outputFiles) write(path, contents);
  write(stamp, JSON.stringify(times));
}

/** Renamed into place: the same command may start twice at once. */
function write(path, contents) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.${process.pid}`, contents);
  renameSync(`${path}.${process.pid}`, path);
}
