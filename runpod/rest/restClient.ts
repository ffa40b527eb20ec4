import type { ApiOptions, RunpodClient } from "../client";
import { accountApi } from "./account";
import { endpointApi } from "./endpoints";
import { registryAuthApi } from "./registryAuths";
import { restRequests } from "./request";
import { secretApi } from "./secrets";
import { templateApi } from "./templates";

/** Client for RunPod's REST API v2, generally available since August 2026. */
export function restClient(options: ApiOptions): RunpodClient {
  const requests = restRequests(options);
  return {
    getControlPlane: async () => ({ api: "rest", endsAt: undefined }),
    ...accountApi(requests),
    ...templateApi(requests),
    ...endpointApi(requests),
    ...registryAuthApi(requests),
    ...secretApi(requests),
  };
}
