import type { EndpointRecord } from "../../../runpod/client";
import { describeWorkers, explainWorkers, hasNoWorkers, hostProblems, isPullProblem } from "../../../runpod/diagnosis";
import type { Health } from "../../../runpod/health";
import type { WorkerMonitor, Workers } from "../../../runpod/workers";
import { type Check, failed, ok, unknown, warning } from "../check";

/** RunPod's own limit for a worker's start. */
const START_SECONDS = 7 * 60;

/** An endpoint's workers at one moment. */
export interface WorkersSeen {
  /** Undefined when RunPod does not return it. */
  workers: Workers | undefined;
  /** Error lines of a worker's host. */
  problems: string[];
  /** Undefined when the job API does not return it. */
  health: Health | undefined;
}

/** Reads the state of an endpoint's workers. Also reads the host's log when a worker is not ready. */
export async function readWorkers(
  monitor: WorkerMonitor,
  endpointId: string,
  health: Promise<Health | undefined>,
): Promise<WorkersSeen> {
  const workers = await monitor.getWorkers(endpointId);
  const problems = workers === undefined ? [] : await hostProblems(monitor, endpointId, workers);
  return { workers, problems, health: await health };
}

/** Checks that all workers run the current version. */
export function checkVersion(name: string, { workers }: WorkersSeen): Check {
  const label = `${name} version`;
  if (workers === undefined) return unknown(label, "RunPod sent no version", "Look at Releases in RunPod's console.");
  const { version, stale, rolloutPercent } = workers;
  const all = stale + workers.ready + workers.initializing + workers.throttled + workers.unhealthy;
  const of = version === undefined ? "the current version" : `version ${version}`;
  if (stale === 0 && rolloutPercent === undefined)
    return ok(label, all === 0 ? `${of}, with no worker now` : `${of}, on all workers (${all})`);
  const todo = "Wait: old workers end when their jobs are done. If new workers do not start, see the workers check.";
  const rollout = rolloutPercent === undefined ? "" : `, rollout at ${rolloutPercent} %`;
  return warning(label, `${all - stale} of ${all} workers on ${of}${rollout}`, todo);
}

/** Checks the workers by their states and their host's log. */
export function checkWorkers(
  version: string,
  endpoint: EndpointRecord,
  { workers, problems, health }: WorkersSeen,
): Check {
  const label = `${version} workers`;
  if (workers === undefined) {
    return unknown(label, "RunPod did not return their state", "Look at Workers in RunPod's console.");
  }
  const queued = health?.jobs.inQueue ?? 0;
  const queue = queued > 0 ? `, ${queued} jobs waiting` : "";
  const host = problems.length > 0 ? `; its host reports: ${problems.join(" | ")}` : "";
  const seen = `${describeWorkers(workers)}${queue}${host}`;
  const isServing = workers.ready > 0;

  if (hasNoWorkers(workers)) {
    if (endpoint.workersMax === 0) {
      return failed(label, `none, and workersMax is 0${queue}`, `Run "pulumi up": no job can run.`);
    }
    if (queued > 0) {
      const todo =
        "Check again in a minute: RunPod has no capacity, or is starting the first worker. Configure more GPU pools.";
      return failed(label, `none, with ${queued} jobs waiting`, todo);
    }
    return ok(label, "none: scaled to zero, and no job is waiting");
  }
  if (workers.unhealthy > 0 || isPullProblem(problems)) {
    const todo = explainWorkers(workers, problems);
    return isServing
      ? warning(label, seen, todo)
      : failed(label, `${isPullProblem(problems) ? "" : "crash loop: "}${seen}`, todo);
  }
  if (workers.throttled > 0) return (isServing ? warning : failed)(label, seen, explainWorkers(workers, problems));
  if (workers.initializing > 0 && !isServing) {
    const { startingSeconds = 0 } = workers;
    if (startingSeconds >= START_SECONDS) {
      const todo =
        "Read the worker's log in RunPod's console: RunPod ends a start after 7 minutes. Usual causes: a large " +
        "image on a slow host, a model downloaded at start, a disk smaller than the unpacked image.";
      return failed(label, `${seen}, for ${Math.round(startingSeconds / 60)} minutes`, todo);
    }
    return warning(label, seen, "Check again in some minutes: the workers are pulling the image or loading the model.");
  }
  return ok(label, seen);
}
