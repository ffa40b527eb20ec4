import type { GpuPool } from "../../../runpod/gpuPools";
import type { PriceSource } from "./source";

export const runpodPriceSource: PriceSource = {
  of: "RunPod Serverless, flex workers",
  date: "2026-08-20",
  source: "docs.runpod.io/serverless/pricing. RUNPOD_API_KEY reads RunPod's live catalogue instead",
};

/** US dollars per second of one worker, by GPU pool. RunPod's page has no price for the pools that are missing here. */
export const runpodPrices: Partial<Record<GpuPool, number>> = {
  AMPERE_16: 0.00016,
  AMPERE_24: 0.00019,
  ADA_24: 0.00031,
  AMPERE_48: 0.00034,
  ADA_48_PRO: 0.00053,
  AMPERE_80: 0.00076,
  ADA_80_PRO: 0.00116,
  BLACKWELL_96: 0.00111,
  HOPPER_141: 0.00155,
  BLACKWELL_180: 0.0024,
};
