"use strict";

const { readdirSync, readFileSync, rmSync } = require("node:fs");
const { basename, dirname, join, relative, resolve } = require("node:path");
const buildWhenStale = require("./buildWhenStale.cjs");

const root = resolve(__dirname, "..");
const folder = join(root, ".build/program");

/**
 * Compiles index.ts and all files that it imports to CommonJS. Does nothing when no source has changed. The working
 * directory must be the repository's folder.
 *
 * TypeScript compiles each source to one file, as Pulumi's ts-node does. The state of existing stacks contains the
 * source text of some functions. A bundler or another compiler would change this text.
 *
 * @returns the folder of the compiled files, which has the same layout as the sources
 */
module.exports = function compileProgram() {
  buildWhenStale(join(folder, "index.js"), () => {
    const sources = importedFrom("index.ts");
    const outputFiles = compile(sources);
    removeOthers(outputFiles.map(({ path }) => path));
    return { outputFiles, sources: ["package-lock.json", "tsconfig.json", ...sources] };
  });
  return folder;
};

/** Returns the paths of `entry` and of every source that it imports directly or indirectly. */
function importedFrom(entry) {
  const { metafile } = require("esbuild").buildSync({
    entryPoints: [entry],
    bundle: true,
    platform: "node",
    packages: "external",
    // The closures of the dynamic providers load their bundles at run time.
    external: ["./.build/*"],
    outfile: join(folder, "index.js"),
    metafile: true,
    write: false,
    logLevel: "silent",
  });
  return Object.keys(metafile.inputs);
}

function compile(sources) {
  const ts = require("typescript");
  const { config } = ts.readConfigFile("tsconfig.json", ts.sys.readFile);
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root);
  const compilerOptions = { ...options, module: ts.ModuleKind.CommonJS, moduleResolution: undefined, sourceMap: true };
  return sources.flatMap((source) => {
    const path = join(folder, source.replace(/ts$/, "js"));
    const text = readFileSync(source, "utf8");
    const compiled = ts.transpileModule(text, { compilerOptions, fileName: basename(source) });
    const map = { ...JSON.parse(compiled.sourceMapText), sources: [relative(dirname(path), source)] };
    return [
      { path, contents: compiled.outputText },
      { path: `${path}.map`, contents: JSON.stringify(map) },
    ];
  });
}

/** Removes the output of deleted sources. After api.ts becomes api/index.ts, `./api` must not load the old api.js. */
function removeOthers(paths) {
  for (const file of readFolder()) {
    if (/\.js(\.map)?$/.test(file) && !paths.includes(join(folder, file))) rmSync(join(folder, file), { force: true });
  }
}

function readFolder() {
  try {
    return readdirSync(folder, { recursive: true });
  } catch {
    return [];
  }
}
