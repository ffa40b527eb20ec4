import type { EndpointRecord, RunpodClient } from "./client";
import { RunpodError } from "./error";

/** Number of workers that an endpoint requests. */
interface WorkerRequest {
  name: string;
  workersMax: number;
}

/**
 * Saves an endpoint if its workers fit into the account's quota. If this check or RunPod refuses the workers, the error
 * lists the workers of the account's endpoints.
 *
 * @param configured quota from the operator's configuration. If undefined, the quota that RunPod returns applies. If
 * RunPod returns no quota, only RunPod checks the request
 * @param id the endpoint's id if it exists already
 * @throws RunpodError
 */
export async function saveWithinQuota<T>(
  client: Pick<RunpodClient, "listEndpoints" | "getWorkerQuota">,
  configured: number | undefined,
  request: WorkerRequest,
  id: string | undefined,
  save: () => Promise<T>,
): Promise<T> {
  const quota = configured ?? (await client.getWorkerQuota());
  const listOthers = async () => (await client.listEndpoints()).filter((endpoint) => endpoint.id !== id);
  if (quota !== undefined) {
    const others = await listOthers();
    if (sumWorkers(others) + request.workersMax > quota)
      throw new RunpodError(explain(others, request, quota), { transient: false });
  }
  try {
    return await save();
  } catch (error) {
    if (!(error instanceof RunpodError) || !isOverQuota(error)) throw error;
    const others = await listOthers().catch(() => []);
    const { message } = error;
    // The new error keeps the facts of the call. `reason` and `isRefusal` say that RunPod itself refused.
    throw new RunpodError(`${message} ${explain(others, request, quotaIn(message))}`, error);
  }
}

/**
 * Matches error texts quoted in issues of RunPod's tools: "cannot go beyond the maximum limit of (N)", "your workers
 * quota (N)".
 */
function isOverQuota({ message }: RunpodError): boolean {
  return /worker.*(?:maximum limit|quota)/i.test(message);
}

function quotaIn(message: string): number | undefined {
  const [, quota] = /\((\d+)\)/.exec(message) ?? [];
  return quota === undefined ? undefined : Number(quota);
}

function explain(others: EndpointRecord[], { name, workersMax }: WorkerRequest, quota: number | undefined): string {
  const list = others.filter((other) => other.workersMax > 0).map((other) => `${other.name} ${other.workersMax}`);
  const rest =
    list.length > 0
      ? `the other endpoints already have ${sumWorkers(others)} (${list.join(", ")})`
      : "the other endpoints have no workers";
  const needed =
    quota === undefined ? `${workersMax} workers of the account` : `${workersMax} of the account's ${quota} workers`;
  return (
    `Endpoint "${name}" needs ${needed}, but ${rest}. Lower workersMax of an endpoint, ` +
    "or raise the account's balance: RunPod allows 10 workers for $100 and 20 for $200."
  );
}

function sumWorkers(endpoints: EndpointRecord[]): number {
  return endpoints.reduce((total, { workersMax }) => total + workersMax, 0);
}
