import type { ApiOptions, RunpodClient } from "../client";
import { accountApi } from "./account";
import { endpointApi } from "./endpoints";
import { registryAuthApi } from "./registryAuths";
import { graphqlRequests } from "./request";
import { secretApi } from "./secrets";
import { templateApi } from "./templates";

/**
 * Client for RunPod's GraphQL control plane. The schema comes from RunPod's official Pulumi provider. RunPod shuts this
 * API down in early 2027.
 */
export function graphqlClient(options: ApiOptions): RunpodClient {
  const requests = graphqlRequests(options);
  const getControlPlane = async () => ({ api: "graphql" as const, endsAt: requests.endsAt() });
  return {
    getControlPlane,
    ...accountApi(requests),
    ...templateApi(requests),
    ...endpointApi(requests),
    ...registryAuthApi(requests),
    ...secretApi(requests),
  };
}
