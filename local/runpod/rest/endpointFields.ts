import { cpuFlavors } from "../account/catalog";
import { commaList, gpuIdsOf, selection } from "../account/gpuSelection";
import { newId } from "../account/ids";
import type { Endpoint, EndpointInput, InlineTemplate, Template } from "../account/records";
import type { CreateEndpoint, UpdateEndpoint } from "./bodies";
import { RestProblem } from "./problem";
import { type ContainerBody, containerView, envList, portsText } from "./templateFields";

/** Disk of an endpoint that names none, in GB. */
const DEFAULT_DISK_GB = 20;

/** What `POST /v2/serverless` asks for, with a template of its own. */
export function createdEndpoint(body: CreateEndpoint, source: Template | undefined): EndpointInput {
  if ((body.gpu === undefined) === (body.cpu === undefined))
    throw new RestProblem(400, "exactly one of gpu or cpu is required");
  if (body.image === undefined && !source)
    throw new RestProblem(422, "Request validation failed.", ["$: missing property 'image'"]);
  const { gpu } = body;
  const seeded = gpu?.minCudaVersion === undefined ? source?.allowedCudaVersions : undefined;
  const input: EndpointInput = {
    name: body.name,
    type: body.type === "QUEUE" ? "QB" : "LB",
    gpuIds: gpu ? gpuIdsOf({ pools: gpu.pools, excludedTypes: trimmed(gpu.excludedTypes) }) : null,
    gpuCount: gpu?.count ?? 1,
    instanceIds: body.cpu ? body.cpu.map(instanceId) : null,
    allowedCudaVersions: (gpu?.allowedCudaVersions ?? (gpu && seeded) ?? []).join(",") || null,
    minCudaVersion: gpu?.minCudaVersion ?? null,
    idleTimeout: body.workers?.idleTimeout ?? 10,
    workersMin: body.workers?.min ?? 0,
    workersMax: body.workers?.max ?? 3,
    workersPFBTarget: 0,
    ...scalerOf(body.scaling),
    locations: body.dataCenterIds?.join(",") || null,
    networkVolumeIds: volumeIds(body.networkVolumes),
    flashBootType: body.flashboot,
    // The published default is 300000; what RunPod does is 0 (its own plugin, checked 2026-08-18).
    executionTimeoutMs: body.timeout ?? 0,
    bindEndpoint: true,
    template: ownTemplate(copyName(body.name), body, source, { ...envMap(source), ...body.env }),
  };
  checkScaling(input, body.workers?.idleTimeout !== undefined);
  checkCuda(input);
  return input;
}

/**
 * What `PATCH /v2/serverless/{id}` makes of an endpoint.
 *
 * @param source the template that the body applies, if it does
 */
export function updatedEndpoint(
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
    ...(gpu?.pools && { gpuIds: gpuIdsOf({ pools: gpu.pools, excludedTypes: trimmed(gpu.excludedTypes) }) }),
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
  return { ...input, template: ownTemplate(name, body, source ?? template, env) };
}

/** An endpoint as REST v2 shows it. */
export function endpointView(endpoint: Endpoint, template: Template, jobApiUrl: string) {
  const isQueue = endpoint.type === "QB";
  const byCount = endpoint.scalerType === "REQUEST_COUNT";
  const { pools, excludedTypes } = selection(endpoint.gpuIds ?? "");
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
            allowedCudaVersions: commaList(endpoint.allowedCudaVersions),
            minCudaVersion: endpoint.minCudaVersion ?? null,
          },
        }),
    workers: {
      min: endpoint.workersMin,
      max: endpoint.workersMax,
      ...(!(isQueue && byCount) && { idleTimeout: endpoint.idleTimeout }),
    },
    scaling: byCount
      ? { type: "REQUEST_COUNT", requestCount: endpoint.scalerValue }
      : { type: "QUEUE_DELAY", queueDelay: endpoint.scalerValue },
    dataCenterIds: commaList(endpoint.locations),
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

/** The template that only this endpoint has: the body over the source. */
function ownTemplate(
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
    // Such flags of a template are for Pods.
    startSsh: false,
    startJupyter: false,
  };
}

/** RunPod's name for a template it makes for an endpoint, as v1 answers show it. */
function copyName(endpointName: string): string {
  return `${endpointName}__template__${newId().slice(0, 9)}`;
}

function changesContainer({ image, args, disk, env, ports, registry }: ContainerBody): boolean {
  return [image, args, disk, env, ports, registry].some((value) => value !== undefined);
}

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
  const flavor = cpuFlavors.find((one) => one.id === id);
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
