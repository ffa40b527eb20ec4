/** RunPod's GPU pools, the allowed values of an endpoint's `gpuIds` (RunPod docs, references/gpu-types, August 2026). */
export const GPU_POOLS = [
  "AMPERE_16",
  "AMPERE_24",
  "ADA_24",
  "ADA_32_PRO",
  "AMPERE_48",
  "ADA_48_PRO",
  "AMPERE_80",
  "ADA_80_PRO",
  "BLACKWELL_96",
  "HOPPER_141",
  "BLACKWELL_180",
] as const;

/** Id of a GPU pool. */
export type GpuPool = (typeof GPU_POOLS)[number];
