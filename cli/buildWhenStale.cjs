"use strict";

const { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } = require("node:fs");
const { dirname } = require("node:path");

/**
 * Rebuilds a file when one of its sources has changed since the last build. `<file>.json` stores the modification time
 * of each source. Paths of sources are relative to the working directory.
 *
 * @param {string} file the built file
 * @param {() => { outputFiles: { path: string, contents: string | Uint8Array }[], sources: string[] }} build
 */
module.exports = function buildWhenStale(file, build) {
  const stamp = `${file}.json`;
  if (isFresh(file, stamp)) return;
  const { outputFiles, sources } = build();
  const times = Object.fromEntries(sources.map((source) => [source, statSync(source).mtimeMs]));
  for (const { path, contents } of outputFiles) write(path, contents);
  write(stamp, JSON.stringify(times));
};

function isFresh(file, stamp) {
  try {
    const sources = Object.entries(JSON.parse(readFileSync(stamp, "utf8")));
    return statSync(file).isFile() && sources.every(([source, mtimeMs]) => statSync(source).mtimeMs === mtimeMs);
  } catch {
    return false;
  }
}

/**
 * Writes a temporary file and renames it, so that a second process that builds at the same time never reads half a
 * file.
 */
function write(path, contents) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.${process.pid}`, contents);
  renameSync(`${path}.${process.pid}`, path);
}
