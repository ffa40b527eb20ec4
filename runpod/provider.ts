// Entry point of the bundle .build/runpod/provider.cjs. Pulumi's state stores small providers that load this bundle and
// forward every call to it.
export { configure } from "./connection";
export { endpoint } from "./endpointProvider";
export { registryAuth } from "./registryAuthProvider";
export { secret } from "./secretProvider";
export { template } from "./templateProvider";
