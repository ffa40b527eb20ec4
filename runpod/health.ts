import { z } from "zod";
import type { ApiOptions } from "./client";
import { callJson } from "./http";
import { orDefault } from "./nullable";

const count = orDefault(z.number(), 0);

const health = z.object({
  jobs: z.object({ inQueue: count, inProgress: count }).prefault({}),
  workers: z.object({
    idle: count,
    initializing: count,
    ready: count,
    running: count,
    throttled: count,
    unhealthy: count,
  }),
});

/** How many jobs and workers an endpoint has, as its job API tells. */
export type Health = z.infer<typeof health>;

/**
 * Asks an endpoint's job API how it is: with the account's key, or one that is restricted to the endpoint.
 *
 * @param options `url` is the base of the job API, with `/v2`
 * @returns the HTTP status, and the counts where it is 200
 * @throws RunpodError, transient, when there was no answer
 */
export async function askHealth(
  { apiKey, url, timeoutMs = 10_000 }: ApiOptions,
  endpointId: string,
): Promise<{ status: number; health: Health | undefined }> {
  const path = `${url.replace(/\/+$/, "")}/${encodeURIComponent(endpointId)}/health`;
  const { status, body } = await callJson({ operation: "health", method: "GET", url: path, apiKey, timeoutMs });
  return { status, health: status === 200 ? health.safeParse(body).data : undefined };
}
