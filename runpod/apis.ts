import type { ApiOptions, RunpodClient } from "./client";
import { graphqlClient } from "./graphql";
import { restClient } from "./rest";

/**
 * RunPod's two control planes by the name they have in the configuration. For whoever wants a client outside Pulumi too:
 * `apis[api]({ apiKey, url })`.
 */
export const apis = {
  graphql: graphqlClient,
  rest: restClient,
} satisfies Record<string, (options: ApiOptions) => RunpodClient>;

/** Name of a control plane. */
export type Api = keyof typeof apis;
