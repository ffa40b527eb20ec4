import type { EndpointRecord, RunpodClient } from "./client";
import { RunpodError } from "./error";

/** Workers that an endpoint is about to get. */
interface WorkerRequest {
  name: string;
  workersMax: number;
}

/**
 * Saves an endpoint if its workers fit into the account's quota. If the quota is exceeded, by this check or by RunPod's
 * refusal, the error lists the workers of the account's endpoints.
 *
 * @param configured quota that the operator has configured. Undefined: the quota that RunPod returns, if it does
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
    const { message, transient, maybeDone } = error;
    throw new RunpodError(`${message} ${explain(others, request, quotaIn(message))}`, { transient, maybeDone });
  }
}

/** Wordings from issues of RunPod's tools: "cannot go beyond the maximum limit of (N)", "your workers quota (N)". */
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
      ? `the account's other endpoints have ${sumWorkers(others)} (${list.join(", ")})`
      : "no other endpoint has any";
  const limit = quota === undefined ? "" : ` of at most ${quota}`;
  return (
    `Endpoint "${name}" asks for ${workersMax} workers${limit}, and ${rest}. Lower workersMax of one of them; ` +
    "RunPod raises the quota with the account's balance ($100: 10, $200: 20)."
  );
}

function sumWorkers(endpoints: EndpointRecord[]): number {
  return endpoints.reduce((total, { workersMax }) => total + workersMax, 0);
}
