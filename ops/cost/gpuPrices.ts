import { readGpuPrices } from "../../runpod/gpuPrices";
import type { GpuPrices } from "./inference";
import { runpodPriceSource, runpodPrices } from "./prices/runpod";
import type { PriceSource } from "./prices/source";

/** GPU prices with their origin. */
interface PresentPrices {
  prices: GpuPrices;
  source: PriceSource;
  /** Why the price table is used although there is a key. */
  notes: string[];
}

/**
 * Returns the prices of RunPod's live catalogue. Without a key, and when the catalogue cannot be read, returns those of the
 * price table.
 *
 * @param url base URL of RunPod's control plane
 */
export async function presentGpuPrices(url: string, apiKey: string | undefined): Promise<PresentPrices> {
  const table = { prices: runpodPrices, source: runpodPriceSource };
  if (apiKey === undefined) return { ...table, notes: [] };
  try {
    const live = await readGpuPrices({ apiKey, url });
    const source = {
      of: runpodPriceSource.of,
      date: new Date().toISOString().slice(0, 10),
      source: `${url}/v2/catalog/gpus`,
    };
    return { prices: { ...runpodPrices, ...live }, source, notes: [] };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { ...table, notes: [`RunPod's catalogue could not be read, so the price table is used: ${why}`] };
  }
}
