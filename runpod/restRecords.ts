import { z } from "zod";
import type { EndpointSettings, RegistryAuthRecord, TemplateRecord, TemplateSettings } from "./client";
import { splitMark, TEMPLATE_MARK } from "./mark";

/** What a template and an endpoint have in common: the container they run. */
const container = {
  image: z.string().default(""),
  args: z
    .string()
    .nullish()
    .transform((args) => args ?? ""),
  disk: z.number().default(0),
  env: z.record(z.string(), z.string()).default({}),
  registry: z
    .string()
    .nullish()
    .transform((id) => id || undefined),
};

const id = z.string();
const name = z.string();

/** A template as the API answers it. */
export const restTemplate = z
  .object({ id, name, ...container })
  .transform(({ image, args, disk, registry, ...rest }): TemplateRecord => {
    return { ...rest, imageName: image, dockerArgs: args, containerDiskInGb: disk, containerRegistryAuthId: registry };
  });

/** Registry credentials as the API answers them. */
export const restRegistryAuth: z.ZodType<RegistryAuthRecord> = z.object({ id, name });

/** An endpoint as the API answers it. It names no template: what it once copied is in it. */
export const restEndpoint = z.object({
  id,
  name,
  ...container,
  gpu: z
    .object({
      pools: z.array(z.string()).default([]),
      excludedTypes: z.array(z.string()).default([]),
      count: z.number().default(1),
      minCudaVersion: z
        .string()
        .nullish()
        .transform((version) => version || undefined),
    })
    .nullish()
    .transform((gpu) => gpu ?? { pools: [], excludedTypes: [], count: 1, minCudaVersion: undefined }),
  workers: z.object({ min: z.number(), max: z.number(), idleTimeout: z.number().default(10) }),
  scaling: z.union([
    z.object({ type: z.literal("QUEUE_DELAY"), queueDelay: z.number() }),
    z.object({ type: z.literal("REQUEST_COUNT"), requestCount: z.number() }),
  ]),
  dataCenterIds: z.array(z.string()).default([]),
  timeout: z.number().default(0),
  flashboot: z.string().default("OFF"),
});
/** See `restEndpoint`. */
export type RestEndpoint = z.infer<typeof restEndpoint>;

/** An endpoint of the API in the words of the client; which template it follows is for the caller to say. */
export function endpointSettings(endpoint: RestEndpoint, templateId: string): EndpointSettings {
  const { gpu, workers, scaling } = endpoint;
  return {
    name: endpoint.name,
    templateId,
    gpuIds: [...gpu.pools, ...gpu.excludedTypes.map((type) => `-${type}`)],
    gpuCount: gpu.count,
    minCudaVersion: gpu.minCudaVersion,
    workersMin: workers.min,
    workersMax: workers.max,
    idleTimeoutSeconds: workers.idleTimeout,
    scalerType: scaling.type,
    scalerValue: scaling.type === "QUEUE_DELAY" ? scaling.queueDelay : scaling.requestCount,
    executionTimeoutMs: endpoint.timeout,
    flashBootType: endpoint.flashboot,
    locations: endpoint.dataCenterIds,
    modelReferences: [],
  };
}

/** The container of a template as the API takes it. `args` and `registry` are sent when empty too: an update keeps what is left out. */
function containerBody({ imageName, dockerArgs, containerDiskInGb, env, containerRegistryAuthId }: TemplateSettings) {
  return {
    image: imageName,
    args: dockerArgs,
    disk: containerDiskInGb,
    env,
    registry: containerRegistryAuthId ?? null,
  };
}

/** A template as the API takes it. */
export function templateBody(settings: TemplateSettings) {
  return { name: settings.name, ...containerBody(settings), serverless: true, public: false };
}

/** The container of an endpoint that follows a template, marked so that it is found when the template changes. */
export function followingBody({ id: templateId, ...settings }: TemplateRecord) {
  const body = containerBody(settings);
  return { ...body, env: { ...body.env, [TEMPLATE_MARK]: templateId } };
}

/**
 * An endpoint as the API takes it, with everything that has a default of its own: `flashboot` and `timeout` above all.
 * `isNew`: only a new one may, and must, say that it has a queue.
 */
export function endpointBody(settings: EndpointSettings, template: TemplateRecord, isNew: boolean) {
  const pools = settings.gpuIds.filter((gpu) => !gpu.startsWith("-"));
  const excludedTypes = settings.gpuIds.filter((gpu) => gpu.startsWith("-")).map((gpu) => gpu.slice(1));
  const { minCudaVersion } = settings;
  return {
    name: settings.name,
    ...(isNew && { type: "QUEUE" }),
    ...followingBody(template),
    gpu: {
      pools,
      excludedTypes,
      count: settings.gpuCount,
      // An update clears it with an empty text; a create knows none.
      ...((minCudaVersion || !isNew) && { minCudaVersion: minCudaVersion ?? "" }),
    },
    ...scaleBody(settings),
    dataCenterIds: settings.locations,
    timeout: settings.executionTimeoutMs,
    flashboot: settings.flashBootType,
  };
}

/** With `REQUEST_COUNT` the API refuses an idle timeout. */
function scaleBody({ scalerType, scalerValue, workersMin, workersMax, idleTimeoutSeconds }: EndpointSettings) {
  const workers = { min: workersMin, max: workersMax };
  return scalerType === "REQUEST_COUNT"
    ? { workers, scaling: { type: scalerType, requestCount: scalerValue } }
    : {
        workers: { ...workers, idleTimeout: idleTimeoutSeconds },
        scaling: { type: scalerType, queueDelay: scalerValue },
      };
}

/**
 * Whether an endpoint runs what a template says. RunPod adds variables of its own to an endpoint's environment, so only
 * those of the template count.
 */
export function runsTemplate(endpoint: RestEndpoint, template: TemplateRecord): boolean {
  return (
    endpoint.image === template.imageName &&
    endpoint.args === template.dockerArgs &&
    endpoint.disk === template.containerDiskInGb &&
    endpoint.registry === template.containerRegistryAuthId &&
    Object.entries(template.env).every(([key, value]) => key === TEMPLATE_MARK || endpoint.env[key] === value)
  );
}

/**
 * Whether an endpoint is to follow a template: it is marked so, or, made through GraphQL and so without that mark, it is
 * of the same stack and runs exactly this template.
 */
export function follows(endpoint: RestEndpoint, template: TemplateRecord): boolean {
  const marked = endpoint.env[TEMPLATE_MARK];
  if (marked !== undefined) return marked === template.id;
  const { owner } = splitMark(endpoint.env);
  return owner !== undefined && owner === splitMark(template.env).owner && runsTemplate(endpoint, template);
}
