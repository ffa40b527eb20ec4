import { z } from "zod";
import type { ApiOptions } from "./client";
import { callJson } from "./http";
import { nullable } from "./nullable";

const count = nullable(z.number(), 0);

const health = z.object({
  jobs: z.object({ inQueue: count, inProgress: count, failed: count }).prefault({}),
  workers: z.object({
    idle: count,
    initializing: count,
    ready: count,
    running: count,
    throttled: count,
    unhealthy: count,
  }),
});

/** Numbers of an endpoint's jobs and workers, as the job API returns them. */
export type Health = z.infer<typeof health>;

/**
 * Reads the health of an endpoint from the job API. The key can be the account's key or a key restricted to the
 * endpoint.
 *
 * @param options `url` is the base URL of the job API, including `/v2`
 * @returns the HTTP status; for status 200 also the numbers
 * @throws a transient RunpodError when there is no response
 */
export async function getHealth(
  { apiKey, url, timeoutMs = 10_000 }: ApiOptions,
  endpointId: string,
): Promise<{ status: number; health: Health | undefined }> {
  const path = `${url.replace(/\/+$/, "")}/${encodeURIComponent(endpointId)}/health`;
  const { status, body } = await callJson({ operation: "health", method: "GET", url: path, apiKey, timeoutMs });
  return { status, health: status === 200 ? health.safeParse(body).data : undefined };
}
