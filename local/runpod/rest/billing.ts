import { pools } from "../account/catalog";
import { parseGpuIds } from "../account/gpuSelection";
import type { Endpoint } from "../account/records";
import { RestProblem } from "./problem";

/** Length of each bucket size in milliseconds. */
const bucketMs = {
  hour: 3_600_000,
  day: 86_400_000,
  week: 7 * 86_400_000,
  month: 30 * 86_400_000,
  year: 365 * 86_400_000,
};

/**
 * `GET /v2/billing/serverless`: costs of the workers since the double started. The current bucket contains all costs.
 * Earlier buckets have no records, because the double knows only the total uptime of each endpoint.
 *
 * @param hourlyUsd replaces the computed costs of each endpoint
 */
export function serverlessBilling(
  query: URLSearchParams,
  usages: readonly { endpoint: Endpoint; uptimeMs: number }[],
  hourlyUsd: number | null = null,
) {
  const bucketSize = query.get("bucketSize") ?? "day";
  if (!isBucket(bucketSize))
    throw new RestProblem(422, "Request validation failed.", [
      `bucketSize: value must be one of ${Object.keys(bucketMs).join(", ")}`,
    ]);
  if (query.has("lastN") && (query.has("startTime") || query.has("endTime")))
    throw new RestProblem(400, "lastN and startTime/endTime are mutually exclusive");
  const serverlessId = query.get("serverlessId");
  const length = bucketMs[bucketSize];
  const start = Math.floor(Date.now() / length) * length;
  const window = { startTime: iso(start), endTime: iso(start + length) };
  const records = usages
    .filter(({ endpoint }) => serverlessId === null || endpoint.id === serverlessId)
    .map(({ endpoint, uptimeMs }) => ({
      ...window,
      serverlessId: endpoint.id,
      ...amounts(hourlyUsd ?? cost(endpoint, uptimeMs)),
    }));
  const total = records.reduce((sum, { totalAmount }) => sum + totalAmount, 0);
  const buckets = Number(query.get("lastN") ?? 30);
  const from = query.get("startTime") ?? iso(start - (buckets - 1) * length);
  return {
    records,
    metadata: {
      query: { startTime: from, endTime: query.get("endTime") ?? window.endTime, bucketSize, serverlessId },
      recordCount: records.length,
      uniqueServerlessCount: records.length,
      totals: amounts(total),
    },
  };
}

function isBucket(text: string): text is keyof typeof bucketMs {
  return Object.hasOwn(bucketMs, text);
}

function cost({ gpuIds, gpuCount }: Endpoint, uptimeMs: number): number {
  const [first] = parseGpuIds(gpuIds ?? "").pools;
  return (uptimeMs / 1_000) * gpuCount * (pools.find(({ id }) => id === first)?.pricePerSecond ?? 0);
}

function amounts(gpuAmount: number) {
  return { totalAmount: gpuAmount, gpuAmount, cpuAmount: 0, diskAmount: 0, feeAmount: 0 };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
