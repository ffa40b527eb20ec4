"use strict";

const { readdirSync, readFileSync, rmSync } = require("node:fs");
const { basename, dirname, join, relative, resolve } = require("node:path");
const buildWhenStale = require("./buildWhenStale.cjs");

const root = resolve(__dirname, "..");
const folder = join(root, ".build/program");

/**
 * Compiles index.ts and every file it imports to CommonJS when one of them has changed. Call it in the repository's
 * folder.
 *
 * TypeScript compiles each source to one file, like Pulumi's ts-node. The state of existing stacks contains the text of
 * some functions, and a bundler or another compiler would change this text.
 *
 * @returns the folder of the compiled files, laid out like the sources
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

/** Paths of a source and of every source that it imports directly or indirectly. */
function importedFrom(entry) {
  const { metafile } = require("esbuild").buildSync({
    entryPoints: [entry],
    bundle: true,
    platform: "node",
    packages: "external",
    // The closures require these bundles of functions and dynamic providers.
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

/** Removes the output of deleted sources. Otherwise `./api` would still load api.js after api.ts has become api/index.ts. */
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
