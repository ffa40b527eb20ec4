// The program's entry point for Pulumi: `main` in package.json. It compiles index.ts when a source has changed, then runs
// it. Pulumi's own ts-node would compile every file again at every preview.
"use strict";

const nodeModule = require("node:module");
const { join, resolve } = require("node:path");
const compileProgram = require("./compileProgram.cjs");

// An operator may run Pulumi with Node 20, which has neither function.
nodeModule.enableCompileCache?.(resolve(".build/cache/node"));
// The SDK has installed source-map-support, which also maps the SDK's own frames, in the stack of every promise: a fifth
// of the time. Node's own support maps our frames only.
Error.prepareStackTrace = undefined;
if (nodeModule.setSourceMapsSupport) nodeModule.setSourceMapsSupport(true, { nodeModules: false });
else process.setSourceMapsEnabled(true);

module.exports = require(join(compileProgram(), "index.js"));
