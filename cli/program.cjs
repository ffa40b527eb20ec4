// The program's entry point for Pulumi: `main` in package.json. It compiles index.ts when a source has changed, then runs
// it. Pulumi's own ts-node would compile every file again at every preview. With the environment variable DEBUG it does not
// drop the SDK's debug messages, which `pulumi up --debug` shows.
"use strict";

const nodeModule = require("node:module");
const { join, resolve } = require("node:path");
const pulumi = require("@pulumi/pulumi");
const compileProgram = require("./compileProgram.cjs");

// Node 20, which an operator may use for Pulumi, has neither this function nor `setSourceMapsSupport`.
nodeModule.enableCompileCache?.(resolve(".build/cache/node"));

// The SDK has installed source-map-support. It maps every frame of every promise's stack, the SDK's own frames too: a fifth
// of the CPU time. Node's support maps only the frames of our files.
Error.prepareStackTrace = undefined;
if (nodeModule.setSourceMapsSupport) nodeModule.setSourceMapsSupport(true, { nodeModules: false });
else process.setSourceMapsEnabled(true);

// The SDK sends four debug messages per resource to the engine, one after the other: an eighth of the CPU time.
if (!process.env.DEBUG) Object.assign(pulumi.log, { debug: async () => {} });

module.exports = require(join(compileProgram(), "index.js"));
