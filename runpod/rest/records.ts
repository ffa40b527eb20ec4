import { z } from "zod";
import type { EndpointRecord, TemplateRecord, TemplateSettings } from "../client";
import { nullable, optionalText, text } from "../nullable";

const texts = nullable(z.array(z.string()), []);

/** Fields of the container, the same for a template and an endpoint. */
const container = {
  image: text,
  args: text,
  disk: nullable(z.number(), 0),
  env: nullable(z.record(z.string(), text), {}),
  registry: optionalText,
};

/** A template in a response. */
export const templateRecord = z
  .object({ id: z.string(), name: text, ...container })
  .transform(({ image, args, disk, registry, ...rest }): TemplateRecord => {
    return { ...rest, imageName: image, dockerArgs: args, containerDiskInGb: disk, containerRegistryAuthId: registry };
  });

/**
 * An endpoint in a response. It contains a copy of its template's container, but not the template's id. Only the id is
 * required, so that an unusual endpoint of somebody else does not fail the whole list.
 */
export const endpointRecord = z.object({
  id: z.string(),
  name: text,
  ...container,
  gpu: nullable(
    z.object({
      pools: texts,
      excludedTypes: texts,
      count: nullable(z.number(), 1),
      minCudaVersion: optionalText,
    }),
    { pools: [], excludedTypes: [], count: 1, minCudaVersion: undefined },
  ),
  workers: nullable(
    z.object({
      min: nullable(z.number(), 0),
      max: nullable(z.number(), 3),
      // Missing for an endpoint that scales on the number of requests.
      idleTimeout: z.number().nullish(),
    }),
    { min: 0, max: 3, idleTimeout: undefined },
  ),
  scaling: nullable(
    z.object({
      type: nullable(z.string(), "QUEUE_DELAY"),
      queueDelay: z.number().nullish(),
      requestCount: z.number().nullish(),
    }),
    { type: "QUEUE_DELAY", queueDelay: 4 },
  ),
  dataCenterIds: texts,
  timeout: nullable(z.number(), 0),
  flashboot: nullable(z.string(), "OFF"),
});

/** A validated `endpointRecord`. */
export type RestEndpoint = z.infer<typeof endpointRecord>;

/** Converts an endpoint in a response to settings. The response contains no template id, so the caller provides it. */
export function endpointSettings(
  endpoint: RestEndpoint,
  templateId: string,
): Omit<EndpointRecord, "id" | "owner" | "sourceTemplateId"> {
  const { gpu, workers, scaling } = endpoint;
  return {
    name: endpoint.name,
    templateId,
    gpuIds: [...gpu.pools, ...gpu.excludedTypes.map((type) => `-${type}`)],
    gpuCount: gpu.count,
    minCudaVersion: gpu.minCudaVersion,
    workersMin: workers.min,
    workersMax: workers.max,
    idleTimeoutSeconds: workers.idleTimeout ?? undefined,
    scalerType: scaling.type,
    scalerValue: scaling.queueDelay ?? scaling.requestCount ?? 0,
    executionTimeoutMs: endpoint.timeout,
    flashBootType: endpoint.flashboot,
    locations: endpoint.dataCenterIds,
    // REST v2 does not return the models in the hosts' cache.
    modelReferences: undefined,
  };
}

/**
 * Container in a request. An update does not change omitted fields, so `args` and `registry` are sent even if they are
 * empty.
 */
export function containerBody(settings: TemplateSettings) {
  return {
    image: settings.imageName,
    args: settings.dockerArgs,
    disk: settings.containerDiskInGb,
    env: settings.env,
    registry: settings.containerRegistryAuthId ?? null,
  };
}
