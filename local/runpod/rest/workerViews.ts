import { dataCenters, gpuTypes } from "../catalog";
import { commaList, selection } from "../gpuSelection";
import type { Endpoint, ReleaseRecord } from "../records";
import type { Fleet, WorkerStatus, WorkerView } from "../workers";

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

function workerView(endpoint: Endpoint, { id, status, version, image, startedAt }: WorkerView) {
  const isPlaced = status !== "THROTTLED";
  return {
    id,
    status,
    isStale: version !== endpoint.version,
    version,
    gpuCount: endpoint.instanceIds?.length ? 0 : endpoint.gpuCount,
    image,
    uptimeSeconds: startedAt === undefined ? null : Math.max(0, Math.floor((Date.now() - startedAt) / 1000)),
    gpuTypeId: isPlaced ? (firstGpu(endpoint) ?? null) : null,
    dataCenterId: isPlaced ? (commaList(endpoint.locations)[0] ?? dataCenters[0]?.id ?? null) : null,
    startedAt: startedAt === undefined ? null : new Date(startedAt).toISOString(),
  };
}

/** The GPU that the pretended hosts have: the first of the selection. */
function firstGpu({ gpuIds }: Endpoint): string | undefined {
  const { pools, excludedTypes } = selection(gpuIds ?? "");
  return gpuTypes.find(({ id, pool }) => pool === pools[0] && !excludedTypes.includes(id))?.id;
}

/** `GET /v2/serverless/{id}/releases`. */
export function releasesView(endpoint: Endpoint, releases: readonly ReleaseRecord[], fleet: Fleet) {
  const workers = fleet.list();
  const on = (version: number) => workers.filter((worker) => worker.version === version).length;
  const onLatest = on(endpoint.version);
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
      workerCount: on(version),
      createdAt,
      diff,
    })),
  };
}

/** How often a log stream looks for new lines, in milliseconds. */
const LOG_POLL_MS = 500;

/**
 * `GET …/workers/{workerId}/logs`: server-sent events `{ts, source, line}`, the latest lines first, then the new ones
 * until the client hangs up or the worker is gone. There is a system log only: what a container prints goes to a file.
 */
export function workerLog(fleet: Fleet, workerId: string, query: URLSearchParams, gone: AbortSignal): Response {
  const tail = Number(query.get("tail") ?? 100);
  const wantsSystem = (query.get("source") ?? "system").split(",").includes("system");
  const log = () => fleet.list().find(({ id }) => id === workerId)?.log;
  const encoder = new TextEncoder();
  let last = log()?.at(-1 - tail);
  let timer: NodeJS.Timeout | undefined;
  const stream = new ReadableStream({
    start(controller) {
      const send = () => {
        const lines = log();
        if (!lines || gone.aborted) {
          clearInterval(timer);
          controller.close();
          return;
        }
        const fresh = last ? lines.slice(lines.indexOf(last) + 1) : lines;
        last = lines.at(-1);
        for (const { at, line } of wantsSystem ? fresh : []) {
          const ts = new Date(at).toISOString();
          const data = JSON.stringify({ ts, source: "system", line });
          controller.enqueue(encoder.encode(`id: ${ts}\ndata: ${data}\n\n`));
        }
      };
      timer = setInterval(send, LOG_POLL_MS);
      send();
    },
    cancel: () => clearInterval(timer),
  });
  return new Response(stream, { headers: { "content-type": "text/event-stream" } });
}
