import type { ApiOptions, RunpodClient } from "./client";
import { graphqlClient } from "./graphql/graphqlClient";
import { restClient } from "./rest/restClient";

/** Clients of RunPod's two control planes, by their name in the configuration: `apis[api]({ apiKey, url })`. */
export const apis = {
  graphql: graphqlClient,
  rest: restClient,
} satisfies Record<string, (options: ApiOptions) => RunpodClient>;

/** Name of a control plane. */
export type Api = keyof typeof apis;
