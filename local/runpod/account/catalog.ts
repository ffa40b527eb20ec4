/** A GPU type. */
export interface GpuType {
  id: string;
  name: string;
  /** Serverless pool that offers this GPU type. */
  pool: string | null;
  manufacturer: "NVIDIA" | "AMD";
  /** Memory in GB. */
  memory: number;
}

/** Serverless pools in RunPod's order. Prices are US dollars per GPU and second (RunPod docs, August 2026). */
export const pools: readonly {
  id: string;
  pricePerSecond: number;
  gpus: readonly [id: string, name: string, gb: number][];
}[] = [
  {
    id: "AMPERE_16",
    pricePerSecond: 0.00016,
    gpus: [
      ["NVIDIA RTX A4000", "RTX A4000", 16],
      ["NVIDIA RTX A4500", "RTX A4500", 20],
      ["NVIDIA RTX 4000 Ada Generation", "RTX 4000 Ada", 20],
      ["NVIDIA RTX 2000 Ada Generation", "RTX 2000 Ada", 16],
    ],
  },
  {
    id: "AMPERE_24",
    pricePerSecond: 0.00019,
    gpus: [
      ["NVIDIA L4", "L4", 24],
      ["NVIDIA RTX A5000", "RTX A5000", 24],
      ["NVIDIA GeForce RTX 3090", "RTX 3090", 24],
    ],
  },
  { id: "ADA_24", pricePerSecond: 0.00031, gpus: [["NVIDIA GeForce RTX 4090", "RTX 4090", 24]] },
  // The docs list no price for this pool, so the double uses the price of the pool below, `AMPERE_48`.
  { id: "ADA_32_PRO", pricePerSecond: 0.00034, gpus: [["NVIDIA GeForce RTX 5090", "RTX 5090", 32]] },
  {
    id: "AMPERE_48",
    pricePerSecond: 0.00034,
    gpus: [
      ["NVIDIA RTX A6000", "RTX A6000", 48],
      ["NVIDIA A40", "A40", 48],
    ],
  },
  {
    id: "ADA_48_PRO",
    pricePerSecond: 0.00053,
    gpus: [
      ["NVIDIA L40", "L40", 48],
      ["NVIDIA L40S", "L40S", 48],
      ["NVIDIA RTX 6000 Ada Generation", "RTX 6000 Ada", 48],
    ],
  },
  {
    id: "AMPERE_80",
    pricePerSecond: 0.00076,
    gpus: [
      ["NVIDIA A100 80GB PCIe", "A100 PCIe", 80],
      ["NVIDIA A100-SXM4-80GB", "A100 SXM", 80],
    ],
  },
  {
    id: "ADA_80_PRO",
    pricePerSecond: 0.00116,
    gpus: [
      ["NVIDIA H100 80GB HBM3", "H100 SXM", 80],
      ["NVIDIA H100 PCIe", "H100 PCIe", 80],
    ],
  },
  {
    id: "BLACKWELL_96",
    pricePerSecond: 0.00111,
    gpus: [["NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTX PRO 6000", 96]],
  },
  { id: "HOPPER_141", pricePerSecond: 0.00155, gpus: [["NVIDIA H200", "H200 SXM", 141]] },
  { id: "BLACKWELL_180", pricePerSecond: 0.0024, gpus: [["NVIDIA B200", "B200", 180]] },
];

/** All GPU types. Types outside the serverless pools come last. */
export const gpuTypes: readonly GpuType[] = [
  ...pools.flatMap((pool) =>
    pool.gpus.map(([id, name, memory]) => ({ id, name, pool: pool.id, manufacturer: "NVIDIA" as const, memory })),
  ),
  { id: "AMD Instinct MI300X OAM", name: "MI300X", pool: null, manufacturer: "AMD", memory: 192 },
];

/** CPU flavors of serverless workers (`GET /v2/catalog/cpus`). */
export const cpuFlavors: readonly { id: string; name: string; group: string; maxVcpu: number; ramGbPerVcpu: number }[] =
  [
    { id: "cpu3c", name: "Compute-Optimized", group: "Gen 3", maxVcpu: 32, ramGbPerVcpu: 2 },
    { id: "cpu3g", name: "General Purpose", group: "Gen 3", maxVcpu: 32, ramGbPerVcpu: 4 },
    { id: "cpu5c", name: "Compute-Optimized", group: "Gen 5", maxVcpu: 32, ramGbPerVcpu: 2 },
    { id: "cpu5g", name: "General Purpose", group: "Gen 5", maxVcpu: 32, ramGbPerVcpu: 4 },
  ];

/** Data centers with their regions. */
export const dataCenters: readonly { id: string; name: string; region: string }[] = [
  { id: "AP-JP-1", name: "AP Japan 1", region: "ASIA" },
  { id: "CA-MTL-1", name: "CA Montreal 1", region: "NORTH_AMERICA" },
  { id: "CA-MTL-3", name: "CA Montreal 3", region: "NORTH_AMERICA" },
  { id: "EU-CZ-1", name: "EU Czechia 1", region: "EUROPE" },
  { id: "EU-FR-1", name: "EU France 1", region: "EUROPE" },
  { id: "EU-NL-1", name: "EU Netherlands 1", region: "EUROPE" },
  { id: "EU-RO-1", name: "EU Romania 1", region: "EUROPE" },
  { id: "EU-SE-1", name: "EU Sweden 1", region: "EUROPE" },
  { id: "EUR-IS-1", name: "EUR Iceland 1", region: "EUROPE" },
  { id: "EUR-IS-2", name: "EUR Iceland 2", region: "EUROPE" },
  { id: "EUR-NO-1", name: "EUR Norway 1", region: "EUROPE" },
  { id: "OC-AU-1", name: "OC Australia 1", region: "OCEANIA" },
  { id: "US-CA-2", name: "US California 2", region: "NORTH_AMERICA" },
  { id: "US-DE-1", name: "US Delaware 1", region: "NORTH_AMERICA" },
  { id: "US-GA-1", name: "US Georgia 1", region: "NORTH_AMERICA" },
  { id: "US-GA-2", name: "US Georgia 2", region: "NORTH_AMERICA" },
  { id: "US-IL-1", name: "US Illinois 1", region: "NORTH_AMERICA" },
  { id: "US-KS-2", name: "US Kansas 2", region: "NORTH_AMERICA" },
  { id: "US-NC-1", name: "US North Carolina 1", region: "NORTH_AMERICA" },
  { id: "US-TX-1", name: "US Texas 1", region: "NORTH_AMERICA" },
  { id: "US-TX-3", name: "US Texas 3", region: "NORTH_AMERICA" },
  { id: "US-WA-1", name: "US Washington 1", region: "NORTH_AMERICA" },
];
