import { cpuFlavors } from "../account/catalog";
import { formatGpuIds, parseCommaList, parseGpuIds } from "../account/gpuSelection";
import { newId } from "../account/ids";
import type { Endpoint, EndpointInput, InlineTemplate, Template } from "../account/records";
import { RestProblem } from "./problem";
import type { CreateEndpoint, UpdateEndpoint } from "./requestBodies";
import { type ContainerBody, containerView, envList, portsText } from "./templateFields";

/** Default disk of an endpoint, in GB. */
const DEFAULT_DISK_GB = 20;

/**
 * Converts the body of `POST /v2/serverless` to the account's input.
 *
 * @param source template with the id in the body. Its values are the defaults
 * @throws RestProblem
 */
export function endpointFromCreate(body: CreateEndpoint, source: Template | undefined): EndpointInput {
  if ((body.gpu === undefined) === (body.cpu === undefined))
    throw new RestProblem(400, "exactly one of gpu or cpu is required");
  if (body.image === undefined && !source)
    throw new RestProblem(422, "Request validation failed.", ["$: missing property 'image'"]);
  const { gpu } = body;
  const sourceCudaVersions = gpu?.minCudaVersion === undefined ? source?.allowedCudaVersions : undefined;
  const input: EndpointInput = {
    name: body.name,
    type: body.type === "QUEUE" ? "QB" : "LB",
    gpuIds: gpu ? formatGpuIds({ pools: gpu.pools, excludedTypes: trimmed(gpu.excludedTypes) }) : null,
    gpuCount: gpu?.count ?? 1,
    instanceIds: body.cpu ? body.cpu.map(instanceId) : null,
    allowedCudaVersions: (gpu?.allowedCudaVersions ?? (gpu && sourceCudaVersions) ?? []).join(",") || null,
    minCudaVersion: gpu?.minCudaVersion ?? null,
    idleTimeout: body.workers?.idleTimeout ?? 10,
    workersMin: body.workers?.min ?? 0,
    workersMax: body.workers?.max ?? 3,
    workersPFBTarget: 0,
    ...scalerOf(body.scaling),
    locations: body.dataCenterIds?.join(",") || null,
    networkVolumeIds: volumeIds(body.networkVolumes),
    flashBootType: body.flashboot,
    // RunPod's document gives the default 300000, but the real service returned 0 on 2026-08-18 (RunPod's migration
    // skill).
    executionTimeoutMs: body.timeout ?? 0,
    bindEndpoint: true,
    template: templateCopy(copyName(body.name), body, source, { ...envMap(source), ...body.env }),
  };
  checkScaling(input, body.workers?.idleTimeout !== undefined);
  checkCuda(input);
  return input;
}

/**
 * Applies the body of `PATCH /v2/serverless/{id}` to an endpoint.
 *
 * @param template the endpoint's current template
 * @param source template with the id in the body. Its values replace the current values
 * @throws RestProblem
 */
export function endpointFromUpdate(
  endpoint: Endpoint,
  template: Template,
  body: UpdateEndpoint,
  source: Template | undefined,
): EndpointInput {
  const isCpu = Boolean(endpoint.instanceIds?.length);
  if (body.gpu && isCpu) throw new RestProblem(400, "gpu cannot be set on a CPU endpoint");
  if (body.cpu && !isCpu) throw new RestProblem(400, "cpu cannot be set on a GPU endpoint");
  const { id, templateId, userId, version, aiKey, createdAt, ...before } = endpoint;
  const { gpu, workers } = body;
  const input: EndpointInput = {
    ...before,
    id,
    bindEndpoint: true,
    ...(body.name !== undefined && { name: body.name }),
    ...(gpu?.pools && { gpuIds: formatGpuIds({ pools: gpu.pools, excludedTypes: trimmed(gpu.excludedTypes) }) }),
    ...(gpu?.count !== undefined && { gpuCount: gpu.count }),
    ...(gpu?.allowedCudaVersions && { allowedCudaVersions: gpu.allowedCudaVersions.join(",") || null }),
    ...(gpu?.minCudaVersion !== undefined && { minCudaVersion: gpu.minCudaVersion || null }),
    ...(body.cpu && { instanceIds: body.cpu.map(instanceId) }),
    ...(workers?.min !== undefined && { workersMin: workers.min }),
    ...(workers?.max !== undefined && { workersMax: workers.max }),
    ...(workers?.idleTimeout !== undefined && { idleTimeout: workers.idleTimeout }),
    ...(body.scaling && scalerOf(body.scaling)),
    ...(body.dataCenterIds && { locations: body.dataCenterIds.join(",") || null }),
    ...(body.networkVolumes && { networkVolumeId: null, networkVolumeIds: volumeIds(body.networkVolumes) }),
    ...(body.flashboot && { flashBootType: body.flashboot }),
    ...(body.timeout !== undefined && { executionTimeoutMs: body.timeout }),
  };
  checkScaling(input, workers?.idleTimeout !== undefined);
  checkCuda(input);
  if (!source && !changesContainer(body))
    return { ...input, templateId, bindEndpoint: template.boundEndpointId === endpoint.id };
  const name = template.boundEndpointId === id ? template.name : copyName(input.name);
  const env = source ? { ...envMap(source), ...body.env } : (body.env ?? envMap(template));
  return { ...input, template: templateCopy(name, body, source ?? template, env) };
}

/** An endpoint in the format of REST v2. */
export function endpointView(endpoint: Endpoint, template: Template, jobApiUrl: string) {
  const isQueue = endpoint.type === "QB";
  const scalesOnRequests = endpoint.scalerType === "REQUEST_COUNT";
  const { pools, excludedTypes } = parseGpuIds(endpoint.gpuIds ?? "");
  const isCpu = Boolean(endpoint.instanceIds?.length);
  return {
    id: endpoint.id,
    name: endpoint.name,
    type: isQueue ? "QUEUE" : "LOAD_BALANCER",
    requestUrls: requestUrls(endpoint, jobApiUrl),
    ...containerView(template),
    ...(isCpu
      ? { cpu: (endpoint.instanceIds ?? []).map(cpuView) }
      : {
          gpu: {
            pools,
            ...(excludedTypes.length > 0 && { excludedTypes }),
            count: endpoint.gpuCount,
            allowedCudaVersions: parseCommaList(endpoint.allowedCudaVersions),
            minCudaVersion: endpoint.minCudaVersion ?? null,
          },
        }),
    workers: {
      min: endpoint.workersMin,
      max: endpoint.workersMax,
      ...(!(isQueue && scalesOnRequests) && { idleTimeout: endpoint.idleTimeout }),
    },
    scaling: scalesOnRequests
      ? { type: "REQUEST_COUNT", requestCount: endpoint.scalerValue }
      : { type: "QUEUE_DELAY", queueDelay: endpoint.scalerValue },
    dataCenterIds: parseCommaList(endpoint.locations),
    networkVolumes: [
      ...(endpoint.networkVolumeIds?.map(({ networkVolumeId }) => networkVolumeId) ?? []),
      ...(endpoint.networkVolumeId ? [endpoint.networkVolumeId] : []),
    ],
    timeout: endpoint.executionTimeoutMs,
    flashboot: endpoint.flashBootType,
    createdAt: endpoint.createdAt,
  };
}

function requestUrls({ id, type }: Endpoint, jobApiUrl: string) {
  const base = `${jobApiUrl}/${id}`;
  if (type !== "QB") return { base, health: `${base}/ping` };
  return {
    run: `${base}/run`,
    runSync: `${base}/runsync`,
    status: `${base}/status/{job_id}`,
    stream: `${base}/stream/{job_id}`,
    cancel: `${base}/cancel/{job_id}`,
    retry: `${base}/retry/{job_id}`,
    purgeQueue: `${base}/purge-queue`,
    health: `${base}/health`,
  };
}

/**
 * Template for one endpoint, with the variables `env`. Each other value comes from the body, from the source template
 * or from the defaults, in this order.
 */
function templateCopy(
  name: string,
  body: ContainerBody,
  source: Template | undefined,
  env: Record<string, string>,
): InlineTemplate {
  return {
    name,
    imageName: body.image ?? source?.imageName ?? null,
    dockerArgs: body.args ?? source?.dockerArgs ?? "",
    containerDiskInGb: body.disk ?? source?.containerDiskInGb ?? DEFAULT_DISK_GB,
    ports: body.ports ? portsText(body.ports) : (source?.ports ?? null),
    env: envList(env),
    containerRegistryAuthId: body.registry === undefined ? (source?.containerRegistryAuthId ?? null) : body.registry,
    // Only Pods use these flags.
    startSsh: false,
    startJupyter: false,
  };
}

/** Name of an endpoint's template copy, in RunPod's format (source: responses of REST v1). */
function copyName(endpointName: string): string {
  return `${endpointName}__template__${newId().slice(0, 9)}`;
}

function changesContainer({ image, args, disk, env, ports, registry }: ContainerBody): boolean {
  return [image, args, disk, env, ports, registry].some((value) => value !== undefined);
}

/** @throws RestProblem when the endpoint's type does not allow these scaling fields */
function checkScaling({ type, scalerType }: EndpointInput, hasIdleTimeout: boolean): void {
  if (type === "LB" && scalerType !== "REQUEST_COUNT")
    throw new RestProblem(422, "Request validation failed.", ["$.scaling: load balancers scale on REQUEST_COUNT"]);
  if (type === "QB" && scalerType === "REQUEST_COUNT" && hasIdleTimeout)
    throw new RestProblem(422, "idleTimeout does not apply to queue-based endpoints scaling on requestCount");
}

function checkCuda({ allowedCudaVersions, minCudaVersion }: EndpointInput): void {
  if (allowedCudaVersions && minCudaVersion)
    throw new RestProblem(400, "gpu.allowedCudaVersions and gpu.minCudaVersion are mutually exclusive");
}

function scalerOf(scaling: CreateEndpoint["scaling"]) {
  return scaling.type === "QUEUE_DELAY"
    ? { scalerType: scaling.type, scalerValue: scaling.queueDelay }
    : { scalerType: scaling.type, scalerValue: scaling.requestCount };
}

function instanceId({ id, vcpuCount }: { id: string; vcpuCount: number }): string {
  const flavor = cpuFlavors.find((known) => known.id === id);
  const isAllowed = flavor && vcpuCount <= flavor.maxVcpu && Number.isInteger(Math.log2(vcpuCount));
  if (!isAllowed) throw new RestProblem(400, `cpu: ${vcpuCount} vCPUs of ${id} are not offered`);
  return `${id}-${vcpuCount}-${vcpuCount * flavor.ramGbPerVcpu}`;
}

function cpuView(instance: string) {
  const [id = "", vcpuCount, memory] = instance.split("-");
  return { id, vcpuCount: Number(vcpuCount), memory: Number(memory) };
}

function volumeIds(ids: string[] | undefined) {
  return ids?.map((networkVolumeId) => ({ networkVolumeId })) ?? null;
}

function trimmed(texts: string[] | undefined): string[] {
  return texts?.map((text) => text.trim()) ?? [];
}

function envMap(template: Template | undefined): Record<string, string> {
  return Object.fromEntries(template?.env.map(({ key, value }) => [key, value]) ?? []);
}
