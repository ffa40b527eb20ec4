// The program's entry point for Pulumi: `main` in package.json. It compiles index.ts when a source has changed, then runs
// it. Pulumi's own ts-node would compile every file again at every preview.
//
// The statements before the last one only save CPU time. Their order matters. With the environment variable DEBUG, stack
// traces have their usual length, and `pulumi up --debug` shows the SDK's messages.
"use strict";

const nodeModule = require("node:module");
const { join, resolve } = require("node:path");
const compileProgram = require("./compileProgram.cjs");

// Node 20, which an operator may use for Pulumi, has neither this function nor `setSourceMapsSupport`.
nodeModule.enableCompileCache?.(resolve(".build/cache/node"));

deferArborist();

// The SDK has installed source-map-support. It maps every frame of every promise's stack, the SDK's own frames too: a third
// of the remaining time. Node's support maps only the frames of our files.
Error.prepareStackTrace = undefined;
if (nodeModule.setSourceMapsSupport) nodeModule.setSourceMapsSupport(true, { nodeModules: false });
else process.setSourceMapsEnabled(true);

if (!process.env.DEBUG) {
  // The SDK formats a stack for every promise. Five frames reach from its constructors to our component.
  Error.stackTraceLimit = 5;
  // The SDK sends four debug messages per resource to the engine, one after the other.
  Object.assign(require("@pulumi/pulumi").log, { debug: async () => {} });
}

module.exports = require(join(compileProgram(), "index.js"));

/**
 * Makes the SDK load npm's Arborist, a tenth of the time, only when it walks the package tree. It never does for our
 * Lambdas: see infra/lambda.ts.
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
