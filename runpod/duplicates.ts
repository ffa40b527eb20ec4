import type { EndpointRecord, RunpodClient } from "./client";
import type { Connection } from "./connection";
import { messageOf, RunpodError } from "./error";
import { retryWhileInUse } from "./retry";

/**
 * Finds the duplicates of an endpoint: other endpoints with the same owner, name and template. A lost response, a stale
 * list or two concurrent updates can create duplicates, because RunPod allows equal endpoint names.
 */
export function duplicatesOf(
  { id, owner, name, sourceTemplateId }: EndpointRecord,
  all: EndpointRecord[],
): EndpointRecord[] {
  // Without owner and template, an endpoint with the same name may belong to somebody else.
  if (owner === undefined || sourceTemplateId === undefined) return [];
  return all.filter(
    (other) =>
      other.id !== id && other.owner === owner && other.name === name && other.sourceTemplateId === sourceTemplateId,
  );
}

/** Describes duplicates for the operator, with every id. */
export function describeDuplicates({ name, owner, id }: EndpointRecord, duplicates: EndpointRecord[]): string {
  const ids = duplicates.map((each) => each.id).join(", ");
  return `RunPod has ${duplicates.length + 1} endpoints named "${name}" of ${owner}: ${id} and ${ids}`;
}

/**
 * Deletes endpoints. Scales each endpoint to zero first, because RunPod refuses to delete an endpoint with workers.
 * Continues after a failed delete.
 *
 * @throws RunpodError when at least one delete has failed. The message contains the reason of each failure
 */
export async function deleteEndpoints(
  { client, inUse }: Pick<Connection, "client" | "inUse">,
  endpoints: EndpointRecord[],
): Promise<void> {
  const deletes = endpoints.map((endpoint) => retryWhileInUse(inUse, () => deleteEndpoint(client, endpoint)));
  const failures = (await Promise.allSettled(deletes)).flatMap((one) =>
    one.status === "rejected" ? [one.reason] : [],
  );
  if (failures.length === 0) return;
  const [first] = failures;
  if (failures.length === 1 || !(first instanceof RunpodError)) throw first;
  const { transient, maybeDone } = first;
  throw new RunpodError(failures.map(messageOf).join(" "), { transient, maybeDone });
}

async function deleteEndpoint(client: RunpodClient, endpoint: EndpointRecord): Promise<void> {
  if (endpoint.workersMin > 0 || endpoint.workersMax > 0) await client.scaleToZero(endpoint);
  await client.deleteEndpoint(endpoint.id);
}

/** Returns RunPod's refusal to delete a template, extended by a list of the endpoints that use the template. */
export async function explainUse(client: RunpodClient, templateId: string, error: unknown): Promise<unknown> {
  if (!(error instanceof RunpodError) || !error.isRefusal) return error;
  const endpoints = await client.listEndpoints().catch(() => []);
  const users = endpoints.filter((endpoint) => endpoint.templateId === templateId);
  if (users.length === 0) return error;
  const list = users.map(({ name, id, owner }) => `"${name}" (${id}) of ${owner ?? "an unknown owner"}`).join(", ");
  return new RunpodError(`${error.message} Endpoints that use the template: ${list}.`, error);
}
