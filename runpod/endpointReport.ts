import { z } from "zod";
import type { ApiOptions } from "./client";
import { callJson } from "./http";

/** Facts of an endpoint that only REST v2 returns. */
export interface EndpointReport {
  /** Maximum number of workers that RunPod allows at present. */
  workersMax: number;
  /** Share of the workers that run the newest release, from 0 to 100. Undefined without workers. */
  rolloutPercent: number | undefined;
  /** Largest amount in US dollars that one of the last two hours has cost. */
  hourlyUsd: number;
}

const endpoint = z.object({ workers: z.object({ max: z.number() }) });
const releases = z.object({ rollout: z.object({ percentOnLatest: z.number(), workersTotal: z.number() }) });
const billing = z.object({ records: z.array(z.object({ totalAmount: z.number() })) });

/**
 * Reads an endpoint's report with three calls of REST v2. The key may change nothing meanwhile, so the calls are not
 * repeated: the next run of the poller reads again.
 *
 * @throws RunpodError when there is no response, Error when a response has another status or shape
 */
export async function readEndpointReport(
  { apiKey, url, timeoutMs = 10_000 }: ApiOptions,
  endpointId: string,
): Promise<EndpointReport> {
  const base = `${url.replace(/\/+$/, "")}/v2`;
  const id = encodeURIComponent(endpointId);
  const read = async <T>(operation: string, path: string, shape: z.ZodType<T>): Promise<T> => {
    const { status, body } = await callJson({ operation, method: "GET", url: `${base}${path}`, apiKey, timeoutMs });
    const parsed = shape.safeParse(body);
    if (status !== 200 || !parsed.success) throw new Error(`RunPod answered ${operation} with ${status}`);
    return parsed.data;
  };
  const [{ workers }, { rollout }, { records }] = await Promise.all([
    read("getEndpoint", `/serverless/${id}`, endpoint),
    read("releases", `/serverless/${id}/releases`, releases),
    // The present hour grows until its end, so the hour before counts too.
    read("billing", `/billing/serverless?bucketSize=hour&lastN=2&serverlessId=${id}`, billing),
  ]);
  return {
    workersMax: workers.max,
    rolloutPercent: rollout.workersTotal > 0 ? rollout.percentOnLatest : undefined,
    hourlyUsd: Math.max(0, ...records.map(({ totalAmount }) => totalAmount)),
  };
}
