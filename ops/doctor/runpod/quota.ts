import type { EndpointRecord, RunpodClient } from "../../../runpod/client";
import { type Check, failed, ok, unknown } from "../check";

/**
 * Checks that the account's worker quota is large enough for all its endpoints. The stack's endpoints count with their
 * configured number of workers.
 *
 * @param asked configured workers by endpoint name
 * @param configured the stack's `runpodWorkerQuota`
 */
export async function checkQuota(
  client: RunpodClient,
  endpoints: EndpointRecord[],
  asked: Record<string, number>,
  configured: number | undefined,
): Promise<Check> {
  const name = "worker quota";
  const missing = Object.entries(asked).filter(([each]) => !endpoints.some((endpoint) => endpoint.name === each));
  // If several endpoints have the same name, each of them takes workers from the quota.
  const wanted = [
    ...endpoints.map((endpoint) => [endpoint.name, Math.max(endpoint.workersMax, asked[endpoint.name] ?? 0)] as const),
    ...missing,
  ];
  const sum = wanted.reduce((total, [, workersMax]) => total + workersMax, 0);
  const each = wanted.filter(([, workersMax]) => workersMax > 0).map((pair) => pair.join(" "));
  const parts = `${sum} configured (${each.join(", ")})`;
  const quota = configured ?? (await client.getWorkerQuota());
  if (quota === undefined)
    return unknown(
      name,
      `${parts}; RunPod does not return the quota`,
      "Set runpodWorkerQuota to the quota in RunPod's console.",
    );
  if (sum <= quota) return ok(name, `${parts}, quota ${quota}`);
  const todo =
    "Lower workersMax somewhere, or add credit: RunPod raises the quota with the balance ($100: 10, $200: 20).";
  return failed(name, `${parts}, but the quota is ${quota}: RunPod will reject the next change`, todo);
}
