import type { ApiOptions, RunpodClient } from "../client";
import { endpointApi } from "./endpoints";
import { registryAuthApi } from "./registryAuths";
import { restRequests } from "./request";
import { templateApi } from "./templates";

/** Client for RunPod's REST API v2, generally available since August 2026. It has no account calls. */
export function restClient(options: ApiOptions): RunpodClient {
  const requests = restRequests(options);
  return {
    getAccount: async () => undefined,
    getWorkerQuota: async () => undefined,
    ...templateApi(requests),
    ...endpointApi(requests),
    ...registryAuthApi(requests),
  };
}
