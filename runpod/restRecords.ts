import { z } from "zod";
import type { EndpointSettings, RegistryAuthRecord, TemplateRecord, TemplateSettings } from "./client";
import { optionalText, orDefault, text } from "./nullable";
import { splitMark, TEMPLATE_MARK } from "./ownerTag";

/** What a template and an endpoint have in common: the container they run. */
const container = {
  image: text,
  args: text,
  disk: orDefault(z.number(), 0),
  env: orDefault(z.record(z.string(), text), {}),
  registry: optionalText,
};

const texts = orDefault(z.array(z.string()), []);
const id = z.string();
const name = text;

/** A template as the API answers it. */
export const restTemplate = z
  .object({ id, name, ...container })
  .transform(({ image, args, disk, registry, ...rest }): TemplateRecord => {
    return { ...rest, imageName: image, dockerArgs: args, containerDiskInGb: disk, containerRegistryAuthId: registry };
  });

/** Registry credentials as the API answers them. */
export const restRegistryAuth: z.ZodType<RegistryAuthRecord> = z.object({ id, name });

/**
 * An endpoint as the API answers it. It names no template: what it once copied is in it. Nothing but the id must be there:
 * an odd endpoint of somebody else would otherwise hide all of the account.
 */
export const restEndpoint = z.object({
  id,
  name,
  ...container,
  gpu: orDefault(
    z.object({
      pools: texts,
      excludedTypes: texts,
      count: orDefault(z.number(), 1),
      minCudaVersion: optionalText,
    }),
    { pools: [], excludedTypes: [], count: 1, minCudaVersion: undefined },
  ),
  workers: orDefault(
    z.object({
      min: orDefault(z.number(), 0),
      max: orDefault(z.number(), 3),
      idleTimeout: orDefault(z.number(), 10),
    }),
    { min: 0, max: 3, idleTimeout: 10 },
  ),
  scaling: orDefault(
    z.object({ type: z.string(), queueDelay: z.number().nullish(), requestCount: z.number().nullish() }),
    { type: "QUEUE_DELAY", queueDelay: 4 },
  ),
  dataCenterIds: texts,
  timeout: orDefault(z.number(), 0),
  flashboot: orDefault(z.string(), "OFF"),
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
    scalerValue: scaling.queueDelay ?? scaling.requestCount ?? 0,
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
 * those of the template count; and need not tell an endpoint's image and disk.
 */
export function runsTemplate(endpoint: RestEndpoint, template: TemplateRecord): boolean {
  return (
    ["", template.imageName].includes(endpoint.image) &&
    endpoint.args === template.dockerArgs &&
    [0, template.containerDiskInGb].includes(endpoint.disk) &&
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
