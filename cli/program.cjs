// The program's entry point for Pulumi: `main` in package.json. It compiles index.ts when a source has changed, then
// runs it. Pulumi's own ts-node would compile every file again at every preview.
//
// All statements before the last statement only save CPU time. Their order matters. When the environment variable DEBUG
// is set, stack traces have their usual length, and `pulumi up --debug` shows the SDK's messages.
"use strict";

const nodeModule = require("node:module");
const { join, resolve } = require("node:path");
const compileProgram = require("./compileProgram.cjs");

// Some operators run Pulumi with Node 20, which has neither `enableCompileCache` nor `setSourceMapsSupport`.
nodeModule.enableCompileCache?.(resolve(".build/cache/node"));

deferArborist();

// Pulumi's SDK has installed source-map-support. It maps every frame of every promise's stack, even frames of the SDK.
// This takes a third of the remaining time. Node's own source map support maps only the frames of our files.
Error.prepareStackTrace = undefined;
if (nodeModule.setSourceMapsSupport) nodeModule.setSourceMapsSupport(true, { nodeModules: false });
else process.setSourceMapsEnabled(true);

if (!process.env.DEBUG) {
  // The SDK formats a stack trace for every promise. With five frames, the trace still contains the frame of our
  // component that called the SDK.
  Error.stackTraceLimit = 5;
  // The SDK sends four debug messages per resource to the Pulumi engine, one after the other.
  Object.assign(require("@pulumi/pulumi").log, { debug: async () => {} });
}

module.exports = require(join(compileProgram(), "index.js"));

/**
 * Makes the SDK load npm's Arborist only when the SDK walks the package tree. The SDK never walks the tree for our
 * Lambdas: see infra/lambda.ts. Loading Arborist takes a tenth of the program's time.
 */
function deferArborist() {
  const path = nodeModule.createRequire(require.resolve("@pulumi/pulumi")).resolve("@npmcli/arborist");
  let arborist;
  const load = () => {
    delete require.cache[path];
    return require(path);
  };
  const exports = {
    __esModule: true,
    get Arborist() {
      arborist ??= load();
      return arborist.Arborist;
    },
  };
  require.cache[path] = { id: path, filename: path, loaded: true, children: [], exports };
}
