// The program's entry point for Pulumi. It bundles index.ts, because Pulumi's own ts-node is slower and checks no types.
"use strict";

const { join, resolve } = require("node:path");

const outfile = resolve(__dirname, "../../.build/github/index.cjs");
require("esbuild").buildSync({
  entryPoints: [join(__dirname, "index.ts")],
  bundle: true,
  packages: "external",
  platform: "node",
  format: "cjs",
  target: "node20",
  outfile,
  sourcemap: "inline",
  logLevel: "error",
});
module.exports = require(outfile);
