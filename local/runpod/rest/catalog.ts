import { cpuFlavors, dataCenters, type GpuType, gpuTypes, pools } from "../account/catalog";
import { matches, type Switches } from "../account/switches";
import { podPrice } from "../pods/pods";
import { RestProblem } from "./problem";

const SECONDS_PER_HOUR = 3_600;

/** `GET /v2/catalog/gpus`. `include=AVAILABILITY` adds the stock and requires `product`. */
export function gpuTypeViews(query: URLSearchParams, switches: Switches) {
  const withStock = includesStock(query);
  return gpuTypes.map((type) => gpuTypeView(type, withStock, switches));
}

/** `GET /v2/catalog/gpus/{id}`. */
export function gpuTypeById(id: string, query: URLSearchParams, switches: Switches) {
  const withStock = includesStock(query);
  const type = gpuTypes.find((known) => known.id === id);
  return type && gpuTypeView(type, withStock, switches);
}

/** `GET /v2/catalog/datacenters`. */
export function dataCenterViews(query: URLSearchParams, switches: Switches) {
  return dataCenters.map((dataCenter) => dataCenterView(dataCenter, query, switches));
}

/** `GET /v2/catalog/datacenters/{id}`. */
export function dataCenterById(id: string, query: URLSearchParams, switches: Switches) {
  const dataCenter = dataCenters.find((known) => known.id === id);
  return dataCenter && dataCenterView(dataCenter, query, switches);
}

/** `GET /v2/catalog/cpus`. */
export const cpuTypes = cpuFlavors.map(({ id, name, group, maxVcpu, ramGbPerVcpu }) => ({
  id,
  name,
  group,
  vcpu: { min: 2, max: maxVcpu },
  ramGbPerVcpu,
  price: { securePerVcpu: 0, serverlessPerVcpu: 0.03 },
}));

function includesStock(query: URLSearchParams): boolean {
  const include = query.get("include");
  if (include !== null && include !== "AVAILABILITY")
    throw new RestProblem(422, "Request validation failed.", ["include: value must be one of 'AVAILABILITY'"]);
  if ((include !== null) !== query.has("product"))
    throw new RestProblem(400, "product is required with include=AVAILABILITY, and valid only with it");
  return include !== null;
}

function gpuTypeView(type: GpuType, withStock: boolean, switches: Switches) {
  const pricePerSecond = pools.find(({ id }) => id === type.pool)?.pricePerSecond;
  const pod = podPrice(type.memory);
  const price = pricePerSecond === undefined ? pod : { ...pod, serverless: perHour(pricePerSecond) };
  const availability = level(![type.pool ?? "", type.id].some((name) => matches(switches.noCapacity, name)));
  return {
    ...type,
    secure: true,
    community: true,
    price,
    maxCount: { secure: 8, community: 8 },
    ...(withStock && { availability }),
    ...(withStock &&
      availability !== "NONE" && { dataCenters: dataCenters.map((dataCenter) => stockOf(dataCenter, switches)) }),
  };
}

function dataCenterView(dataCenter: (typeof dataCenters)[number], query: URLSearchParams, switches: Switches) {
  const withStock = query.get("include")?.split(",").includes("GPU_AVAILABILITY");
  const isFull = matches(switches.noCapacity, dataCenter.id);
  return {
    ...dataCenter,
    globalNetwork: true,
    networkVolumeTypes: ["STANDARD"],
    compliance: [],
    ...(withStock && {
      gpuAvailability: gpuTypes.map(({ id, name, pool }) => ({
        id,
        name,
        availability: level(!isFull && !matches(switches.noCapacity, pool ?? "")),
      })),
    }),
  };
}

function stockOf({ id, name }: (typeof dataCenters)[number], switches: Switches) {
  return { id, name, availability: level(!matches(switches.noCapacity, id)) };
}

function level(isAvailable: boolean): "HIGH" | "NONE" {
  return isAvailable ? "HIGH" : "NONE";
}

function perHour(pricePerSecond: number): number {
  return Math.round(pricePerSecond * SECONDS_PER_HOUR * 1_000) / 1_000;
}
