/** An endpoint's GPUs: pools, and GPU types of them to leave out. */
export interface GpuSelection {
  pools: string[];
  excludedTypes: string[];
}

/** Reads `gpuIds`: a comma list of pools, and of types to leave out with a minus (`AMPERE_24,ADA_24,-NVIDIA L4`). */
export function selection(gpuIds: string): GpuSelection {
  const items = commaList(gpuIds);
  return {
    pools: items.filter((item) => !item.startsWith("-")),
    excludedTypes: items.filter((item) => item.startsWith("-")).map((item) => item.slice(1).trim()),
  };
}

/** Writes it. */
export function gpuIdsOf({ pools, excludedTypes }: GpuSelection): string {
  return [...pools, ...excludedTypes.map((type) => `-${type}`)].join(",");
}

/** The items of a comma list; none for an empty or missing one. */
export function commaList(text: string | null | undefined): string[] {
  return (text ?? "")
    .split(",")
    .map((item) => item.trim())
    .filter(Boolean);
}
