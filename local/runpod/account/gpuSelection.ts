/** GPUs of an endpoint: all GPU types of `pools` except `excludedTypes`. */
export interface GpuSelection {
  pools: string[];
  excludedTypes: string[];
}

/** Parses `gpuIds`: comma-separated pools, and excluded types with a minus (`AMPERE_24,ADA_24,-NVIDIA L4`). */
export function parseGpuIds(gpuIds: string): GpuSelection {
  const items = parseCommaList(gpuIds);
  return {
    pools: items.filter((item) => !item.startsWith("-")),
    excludedTypes: items.filter((item) => item.startsWith("-")).map((item) => item.slice(1).trim()),
  };
}

/** Inverse of `parseGpuIds`. */
export function formatGpuIds({ pools, excludedTypes }: GpuSelection): string {
  return [...pools, ...excludedTypes.map((type) => `-${type}`)].join(",");
}

/** Items of a comma-separated text, without spaces and empty items. */
export function parseCommaList(text: string | null | undefined): string[] {
  return (text ?? "")
    .split(",")
    .map((item) => item.trim())
    .filter(Boolean);
}
