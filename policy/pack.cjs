// The policy pack's entry point for Pulumi: `pulumi preview --policy-pack policy`. It compiles the rules when a source has
// changed. The packages come from the repository's node_modules.
"use strict";

const { join, resolve } = require("node:path");
const buildWhenStale = require("../cli/buildWhenStale.cjs");

const root = resolve(__dirname, "..");
const file = join(root, ".build/policy/pack.cjs");
buildWhenStale(file, () => {
  const { outputFiles, metafile } = require("esbuild").buildSync({
    absWorkingDir: root,
    entryPoints: ["policy/pack.ts"],
    bundle: true,
    packages: "external",
    platform: "node",
    format: "cjs",
    target: "node20",
    outfile: file,
    logLevel: "error",
    metafile: true,
    write: false,
  });
  const sources = Object.keys(metafile.inputs).map((source) => join(root, source));
  return { outputFiles, sources: [join(root, "package-lock.json"), ...sources] };
});
require(file);
