import { autoClient } from "./auto";
import type { ApiOptions, RunpodClient } from "./client";
import { graphqlClient } from "./graphql/graphqlClient";
import { restClient } from "./rest/restClient";

/** Clients of RunPod's control planes, by their name in the configuration: `apis[api]({ apiKey, url })`. */
export const apis = {
  auto: autoClient,
  graphql: graphqlClient,
  rest: restClient,
} satisfies Record<string, (options: ApiOptions) => RunpodClient>;

/** Name of a control plane in the configuration. */
export type Api = keyof typeof apis;
