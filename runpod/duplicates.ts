import type { EndpointRecord, RunpodClient } from "./client";
import type { Connection } from "./connection";
import { RunpodError } from "./error";
import { retryWhileInUse } from "./retry";

/**
 * Finds the endpoints that were created twice: with the same owner, name and template as `endpoint`. A lost answer, a
 * list that lags behind, or two updates at once can leave such endpoints. RunPod allows endpoints of the same name.
 */
export function duplicatesOf(
  { id, owner, name, sourceTemplateId }: EndpointRecord,
  all: EndpointRecord[],
): EndpointRecord[] {
  // Without both, an endpoint of the same name can be somebody else's.
  if (owner === undefined || sourceTemplateId === undefined) return [];
  return all.filter(
    (other) =>
      other.id !== id && other.owner === owner && other.name === name && other.sourceTemplateId === sourceTemplateId,
  );
}

/** Describes duplicates for people. Names every id. */
export function describeDuplicates({ name, owner, id }: EndpointRecord, duplicates: EndpointRecord[]): string {
  const ids = duplicates.map((each) => each.id).join(", ");
  return `RunPod has ${duplicates.length + 1} endpoints named "${name}" of ${owner}: ${id} and ${ids}`;
}

/** Deletes endpoints. Each gets the worker counts 0 first, without which RunPod refuses the delete. */
export async function deleteEndpoints(
  { client, inUse }: Pick<Connection, "client" | "inUse">,
  endpoints: EndpointRecord[],
): Promise<void> {
  await Promise.all(endpoints.map((endpoint) => retryWhileInUse(inUse, () => deleteEndpoint(client, endpoint))));
}

async function deleteEndpoint(client: RunpodClient, endpoint: EndpointRecord): Promise<void> {
  if (endpoint.workersMin > 0 || endpoint.workersMax > 0) await client.scaleToZero(endpoint);
  await client.deleteEndpoint(endpoint.id);
}

/** Adds to a refusal to delete a template which endpoints use that template. */
export async function explainUse(client: RunpodClient, templateId: string, error: unknown): Promise<unknown> {
  if (!(error instanceof RunpodError) || !error.isRefusal) return error;
  const endpoints = await client.listEndpoints().catch(() => []);
  const users = endpoints.filter((endpoint) => endpoint.templateId === templateId);
  if (users.length === 0) return error;
  const list = users.map(({ name, id, owner }) => `"${name}" (${id}) of ${owner ?? "an unknown owner"}`).join(", ");
  return new RunpodError(`${error.message} Endpoints that use the template: ${list}.`, error);
}
