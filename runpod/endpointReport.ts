import { z } from "zod";
import type { ApiOptions } from "./client";
import { callJson, unexpectedResponse } from "./http";

const endpoint = z.object({ workers: z.object({ max: z.number() }) });
const releases = z.object({ rollout: z.object({ percentOnLatest: z.number(), workersTotal: z.number() }) });
const billing = z.object({ records: z.array(z.object({ totalAmount: z.number() })) });

/** Facts of an endpoint that only REST v2 returns. Each method makes one call. */
export interface EndpointReport {
  /** Maximum number of workers that RunPod currently allows. */
  workersMax(): Promise<number>;
  /** Share of the workers that run the newest release, from 0 to 100. Undefined without workers. */
  rolloutPercent(): Promise<number | undefined>;
  /** Costs of the current and of the previous hour in US dollars. Returns the higher cost. */
  hourlyUsd(): Promise<number>;
}

/**
 * Creates a reader of an endpoint's facts. The calls are not retried: the next run of the poller reads again. Each call
 * throws a RunpodError when there is no response, and an Error when the response has an unexpected status or shape.
 */
export function endpointReport({ apiKey, url, timeoutMs = 10_000 }: ApiOptions, endpointId: string): EndpointReport {
  const base = `${url.replace(/\/+$/, "")}/v2`;
  const id = encodeURIComponent(endpointId);
  const read = async <T>(operation: string, path: string, shape: z.ZodType<T>): Promise<T> => {
    const { status, body } = await callJson({ operation, method: "GET", url: `${base}${path}`, apiKey, timeoutMs });
    const parsed = shape.safeParse(body);
    if (status !== 200 || !parsed.success) throw new Error(unexpectedResponse(operation, status));
    return parsed.data;
  };
  return {
    workersMax: async () => (await read("getEndpoint", `/serverless/${id}`, endpoint)).workers.max,
    rolloutPercent: async () => {
      const { rollout } = await read("releases", `/serverless/${id}/releases`, releases);
      return rollout.workersTotal > 0 ? rollout.percentOnLatest : undefined;
    },
    hourlyUsd: async () => {
      // The cost of the current hour grows until the end of the hour, so the previous hour counts too.
      const path = `/billing/serverless?bucketSize=hour&lastN=2&serverlessId=${id}`;
      const { records } = await read("billing", path, billing);
      return Math.max(0, ...records.map(({ totalAmount }) => totalAmount));
    },
  };
}
