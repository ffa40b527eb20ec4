import type { EndpointRecord, RunpodClient } from "./client";
import { RunpodError } from "./error";

/** What an endpoint asks of the account. */
interface Asked {
  name: string;
  workersMax: number;
}

/**
 * Refuses what is above the account's quota before RunPod does, and what RunPod refuses for its quota with the sum that
 * led to it.
 *
 * @param configured most workers of the account as the operator has said; undefined is what RunPod tells, if it does
 * @param id the endpoint itself, when it is there already
 */
export async function withinQuota<T>(
  client: Pick<RunpodClient, "listEndpoints" | "getWorkerQuota">,
  configured: number | undefined,
  asked: Asked,
  id: string | undefined,
  save: () => Promise<T>,
): Promise<T> {
  const quota = configured ?? (await client.getWorkerQuota());
  const others = async () => (await client.listEndpoints()).filter((each) => each.id !== id);
  if (quota !== undefined) {
    const found = await others();
    if (sum(found) + asked.workersMax > quota)
      throw new RunpodError(explain(found, asked, quota), { transient: false });
  }
  try {
    return await save();
  } catch (error) {
    if (!(error instanceof RunpodError) || !isQuota(error)) throw error;
    const found = await others().catch(() => []);
    const { message, transient, maybeDone } = error;
    throw new RunpodError(`${message} ${explain(found, asked, limitIn(message))}`, { transient, maybeDone });
  }
}

/** RunPod's own words, seen in its tools' issues: "cannot go beyond the maximum limit of (N)", "your workers quota (N)". */
function isQuota({ message }: RunpodError): boolean {
  return /worker.*(?:maximum limit|quota)/i.test(message);
}

function limitIn(message: string): number | undefined {
  const [, limit] = /\((\d+)\)/.exec(message) ?? [];
  return limit === undefined ? undefined : Number(limit);
}

function explain(others: EndpointRecord[], { name, workersMax }: Asked, quota: number | undefined): string {
  const each = others.filter((other) => other.workersMax > 0).map((other) => `${other.name} ${other.workersMax}`);
  const rest =
    each.length > 0 ? `the account's other endpoints have ${sum(others)} (${each.join(", ")})` : "no other has any";
  const most = quota === undefined ? "" : ` of at most ${quota}`;
  return (
    `Endpoint "${name}" asks for ${workersMax} workers${most}, and ${rest}. Lower workersMax somewhere; ` +
    "RunPod raises the quota with the account's balance ($100: 10, $200: 20)."
  );
}

function sum(endpoints: EndpointRecord[]): number {
  return endpoints.reduce((total, { workersMax }) => total + workersMax, 0);
}
