import { dataCenters, gpuTypes } from "../account/catalog";
import { parseCommaList, parseGpuIds } from "../account/gpuSelection";
import type { Endpoint, ReleaseRecord } from "../account/records";
import type { Fleet, WorkerStatus, WorkerView } from "../workers/fleet";

/** `GET /v2/serverless/{id}/workers`. */
export function workersView(endpoint: Endpoint, fleet: Fleet) {
  const workers = fleet.list();
  const count = (status: WorkerStatus) => workers.filter((worker) => worker.status === status).length;
  return {
    workers: workers.map((worker) => workerView(endpoint, worker)),
    summary: {
      running: count("RUNNING"),
      idle: count("IDLE"),
      initializing: count("INITIALIZING"),
      throttled: count("THROTTLED"),
      unhealthy: count("UNHEALTHY"),
      total: workers.length,
    },
    endpointVersion: endpoint.version,
  };
}

function workerView(endpoint: Endpoint, { id, status, version, image, running }: WorkerView) {
  const isPlaced = status !== "THROTTLED";
  return {
    id,
    status,
    isStale: version !== endpoint.version,
    version,
    gpuCount: endpoint.instanceIds?.length ? 0 : endpoint.gpuCount,
    image,
    uptimeSeconds: running ? Math.floor(running.forMs / 1000) : null,
    gpuTypeId: isPlaced ? (firstGpu(endpoint) ?? null) : null,
    dataCenterId: isPlaced ? (parseCommaList(endpoint.locations)[0] ?? dataCenters[0]?.id ?? null) : null,
    startedAt: running ? new Date(running.since).toISOString() : null,
  };
}

/** GPU type of all simulated hosts: the first GPU type that the endpoint selects. */
function firstGpu({ gpuIds }: Endpoint): string | undefined {
  const { pools, excludedTypes } = parseGpuIds(gpuIds ?? "");
  return gpuTypes.find(({ id, pool }) => pool === pools[0] && !excludedTypes.includes(id))?.id;
}

/**
 * `GET /v2/serverless/{id}/releases`. Unconfirmed: RunPod may count workers that wait for a GPU or crash. The double
 * omits these workers, so that a client cannot rely on them.
 */
export function releasesView(endpoint: Endpoint, releases: readonly ReleaseRecord[], fleet: Fleet) {
  const workers = fleet.list().filter(({ status }) => status !== "THROTTLED" && status !== "UNHEALTHY");
  const countOn = (version: number) => workers.filter((worker) => worker.version === version).length;
  const onLatest = countOn(endpoint.version);
  return {
    endpointVersion: endpoint.version,
    rollout: {
      inProgress: onLatest < workers.length,
      workersOnLatest: onLatest,
      workersTotal: workers.length,
      percentOnLatest: workers.length === 0 ? 0 : Math.round((100 * onLatest) / workers.length),
    },
    releases: releases.map(({ id, version, createdAt, diff }) => ({
      id,
      version,
      source: "MANUAL",
      buildId: null,
      createdByUserId: endpoint.userId,
      workerCount: countOn(version),
      createdAt,
      diff,
    })),
  };
}
