// Entry point of the bundle .build/runpod/provider.cjs, which the forwarding providers in Pulumi's state load.
export { configure } from "./connection";
export { endpoint } from "./endpointProvider";
export { registryAuth } from "./registryAuthProvider";
export { template } from "./templateProvider";
