import type { Pod, PodStatus } from "../account/records";
import type { Pods } from "../pods/pods";
import { pageOf } from "./page";
import { RestProblem } from "./problem";
import { CreatePod } from "./requestBodies";
import { bodyRoute, type RestRoute, route } from "./route";
import { workerLog } from "./workerLog";

const actions: Record<PodStatus, string[]> = {
  PROVISIONING: ["stop", "terminate"],
  STARTING: ["stop", "terminate"],
  RUNNING: ["stop", "restart", "terminate"],
  EXITED: ["start", "terminate"],
};

/** Context of the routes for pods. */
export interface PodContext {
  pods: Pods;
  /** Returns the number of lines after which a pod's log ends. `null`: the log does not end. */
  logLines(): number | null;
  /** Default number of entries per page. */
  pageSize: number;
}

/**
 * Pods of REST v2 (RunPod's OpenAPI document, September 2026): create, list, read, terminate and log. The double has no
 * PATCH, no actions, no CPU pods and no pod templates.
 */
export function podRoutes({ pods, logLines, pageSize }: PodContext): RestRoute[] {
  const podOf = (id: string): Pod => {
    const pod = pods.find(id);
    if (!pod) throw new RestProblem(404, "pod not found");
    return pod;
  };
  return [
    route("GET /pods", "List pods", ({ query }) => pageOf("pods", pods.listed.map(podView), query, pageSize)),
    bodyRoute("POST /pods", "Create a pod", CreatePod, (_, body) => podView(pods.create(podInput(body)))),
    route("GET /pods/{id}", "Get a pod", ({ id }) => podView(podOf(id))),
    route("DELETE /pods/{id}", "Terminate a pod", ({ id }) => pods.remove(id)),
    route("GET /pods/{id}/logs", "Stream pod logs", (call) => {
      podOf(call.id);
      const max = logLines() ?? Number.POSITIVE_INFINITY;
      const isCut = () => (pods.find(call.id)?.log.length ?? 0) > max;
      return workerLog(() => pods.find(call.id)?.log.slice(0, max), call, "container,system", isCut);
    }),
  ];
}

/** @throws RestProblem 400 when the body breaks a rule between its fields */
function podInput({ gpu, cpu, mounts, ...body }: CreatePod) {
  if ((gpu === undefined) === (cpu === undefined)) throw new RestProblem(400, "exactly one of gpu or cpu must be set");
  if (gpu === undefined) throw new RestProblem(400, "the double has no CPU pods");
  if (gpu.minCudaVersion && gpu.allowedCudaVersions?.length)
    throw new RestProblem(400, "minCudaVersion and allowedCudaVersions are mutually exclusive");
  if (mounts?.persistent && mounts.network)
    throw new RestProblem(400, "mounts.persistent and mounts.network are mutually exclusive");
  const { name, image, args = "", disk = 50, ports = [], env = {}, registry = null, cloud, dataCenterIds = [] } = body;
  return { name, image, args, disk, ports, env, registry, cloud, dataCenterIds, gpu: { id: gpu.id, count: gpu.count } };
}

function podView(pod: Pod) {
  const { log, hourlyUsd, dataCenterIds, gpu, ...fields } = pod;
  const isRunning = pod.status === "RUNNING";
  return {
    ...fields,
    actions: actions[pod.status],
    mounts: {},
    gpu: { ...gpu, vcpuCount: 16 * gpu.count, memory: 64 * gpu.count },
    dataCenterId: dataCenterIds[0] ?? "US-KS-2",
    cudaVersion: pod.status === "PROVISIONING" ? null : "13.0",
    ssh: { proxy: null, direct: null },
    template: null,
    cost: pod.status === "EXITED" ? 0 : hourlyUsd,
    locked: false,
    globalNetworking: { enabled: false },
    runtime: isRunning
      ? { uptime: Math.round((Date.now() - Date.parse(pod.startedAt ?? pod.createdAt)) / 1_000) }
      : null,
  };
}
