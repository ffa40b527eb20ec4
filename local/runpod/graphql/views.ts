import type { RunpodAccount } from "../account/account";
import { type dataCenters, gpuTypes, pools } from "../account/catalog";
import type { Endpoint } from "../account/records";
import { matches, type Switches } from "../account/switches";

/** Converts an endpoint to the GraphQL type `Endpoint`. */
export function endpointView(account: RunpodAccount, endpoint: Endpoint, workerIds: (endpointId: string) => string[]) {
  const volume = (id: string | null | undefined) => account.networkVolumes.find(id);
  return {
    ...endpoint,
    // The GraphQL field is an integer, but REST v2 also allows half seconds.
    scalerValue: Math.ceil(endpoint.scalerValue),
    networkVolume: volume(endpoint.networkVolumeId),
    networkVolumeIds: endpoint.networkVolumeIds?.map(({ networkVolumeId }) => ({
      networkVolumeId,
      dataCenterId: volume(networkVolumeId)?.dataCenterId,
    })),
    computeType: endpoint.instanceIds?.length ? "CPU" : "GPU",
    workersStandby: endpoint.workersMax,
    template: () => account.listedTemplate(endpoint.templateId),
    pods: () => workerIds(endpoint.id).map((id) => ({ id, desiredStatus: "RUNNING" })),
  };
}

/** Converts a GPU type to the GraphQL type `GpuType`. */
export function gpuTypeView({ id, name, manufacturer, memory, pool }: (typeof gpuTypes)[number], switches: Switches) {
  const pricePerSecond = pools.find((one) => one.id === pool)?.pricePerSecond;
  return {
    id,
    displayName: name,
    manufacturer: manufacturer === "NVIDIA" ? "Nvidia" : manufacturer,
    memoryInGb: memory,
    secureCloud: true,
    communityCloud: false,
    maxGpuCount: 8,
    lowestPrice: ({ input }: { input?: { dataCenterId?: string | null } }) => ({
      gpuTypeId: id,
      uninterruptablePrice: pricePerSecond === undefined ? null : pricePerSecond * 3_600,
      stockStatus: stock(switches, pool, input?.dataCenterId).stockStatus,
    }),
  };
}

/** Converts a data center to the GraphQL type `DataCenter`. */
export function dataCenterView({ id, name, region }: (typeof dataCenters)[number], switches: Switches) {
  return {
    id,
    name,
    location: region,
    listed: true,
    storageSupport: true,
    gpuAvailability: gpuTypes.map((gpu) => ({
      id: gpu.id,
      gpuTypeId: gpu.id,
      displayName: gpu.name,
      ...stock(switches, gpu.pool, id),
    })),
  };
}

/** Availability of a pool's GPUs, optionally in one data center. */
function stock({ noCapacity }: Switches, pool: string | null, dataCenterId: string | null | undefined) {
  const available = !matches(noCapacity, pool ?? "") && !matches(noCapacity, dataCenterId ?? "");
  return { available, stockStatus: available ? "High" : "None" };
}
