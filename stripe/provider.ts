// Entry point of the bundle .build/stripe/provider.cjs. Pulumi's state stores small providers that load this bundle and
// forward every call to it.
export { configure } from "./connection";
export { webhookEndpoint } from "./webhookEndpointProvider";
export { webhookSecrets } from "./webhookSecretsProvider";
