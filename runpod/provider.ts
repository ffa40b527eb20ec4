// What the thin providers in Pulumi's state require. Bundled to .build/runpod/provider.cjs.
export { configure } from "./connection";
export { endpoint } from "./endpointProvider";
export { registryAuth } from "./registryAuthProvider";
export { template } from "./templateProvider";
