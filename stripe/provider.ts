// What the thin providers in Pulumi's state require. Bundled to .build/stripe/provider.cjs.
export { configure } from "./connection";
export { webhookEndpoint } from "./webhookEndpointProvider";
export { webhookSecrets } from "./webhookSecretsProvider";
