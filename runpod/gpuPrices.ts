import { z } from "zod";
import type { ApiOptions } from "./client";
import { GPU_POOLS, type GpuPool } from "./gpuPools";
import { callJson } from "./http";

const SECONDS_PER_HOUR = 3_600;
const pool = z.enum(GPU_POOLS).nullable().catch(null);
const catalogue = z.object({
  gpus: z.array(z.object({ pool: pool.optional(), price: z.object({ serverless: z.number().optional() }) })),
});

/**
 * Reads the current prices of RunPod's catalogue (REST v2). A pool has the price of its most expensive GPU type.
 *
 * @returns US dollars per second of one worker, by GPU pool
 * @throws RunpodError when there is no response, and an Error when the response has an unexpected status or shape
 */
export async function readGpuPrices({
  apiKey,
  url,
  timeoutMs = 10_000,
}: ApiOptions): Promise<Partial<Record<GpuPool, number>>> {
  const address = `${url.replace(/\/+$/, "")}/v2/catalog/gpus`;
  const { status, body } = await callJson({ operation: "catalog", method: "GET", url: address, apiKey, timeoutMs });
  const parsed = catalogue.safeParse(body);
  if (status !== 200 || !parsed.success) throw new Error(`RunPod answered catalog with ${status}`);
  const prices: Partial<Record<GpuPool, number>> = {};
  for (const { pool, price } of parsed.data.gpus) {
    if (!pool || price.serverless === undefined) continue;
    prices[pool] = Math.max(prices[pool] ?? 0, price.serverless / SECONDS_PER_HOUR);
  }
  return prices;
}
