// Entry point of the bundle .build/stripe/provider.cjs, which the forwarding providers in Pulumi's state load.
export { configure } from "./connection";
export { webhookEndpoint } from "./webhookEndpointProvider";
export { webhookSecrets } from "./webhookSecretsProvider";
