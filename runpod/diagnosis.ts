import type { WorkerMonitor, Workers } from "./workers";

const PROBLEM =
  /error|fail|denied|unauthori[sz]ed|forbidden|no space|not found|manifest|exit code|back-?off|killed|oom/i;
const PULL = /pull|manifest|denied|unauthori[sz]ed|forbidden|no basic auth|registry/i;

/** Whether the endpoint has no workers. */
export function hasNoWorkers({ stale, ready, initializing, throttled, unhealthy }: Workers): boolean {
  return stale + ready + initializing + throttled + unhealthy === 0;
}

/** Describes the workers for the operator: `workers of version 3: 1 ready, 2 crashing`. */
export function describeWorkers(workers: Workers): string {
  const { version, ready, stale, initializing, throttled, unhealthy, rolloutPercent } = workers;
  const parts = [
    `${ready} ready`,
    ...(stale > 0 ? [`${stale} of the old version`] : []),
    ...(initializing > 0 ? [`${initializing} starting`] : []),
    ...(throttled > 0 ? [`${throttled} waiting for a GPU`] : []),
    ...(unhealthy > 0 ? [`${unhealthy} crashing`] : []),
    ...(rolloutPercent === undefined ? [] : [`rollout at ${rolloutPercent} %`]),
  ];
  return `workers${version === undefined ? "" : ` of version ${version}`}: ${parts.join(", ")}`;
}

/**
 * Reads the host log of a worker that is not ready. Returns the last three lines that report a problem, newest last.
 */
export async function hostProblems(monitor: WorkerMonitor, endpointId: string, workers: Workers): Promise<string[]> {
  const [workerId] = workers.waitingIds;
  const log = workerId === undefined ? [] : await monitor.getHostLog(endpointId, workerId);
  return log.filter((line) => PROBLEM.test(line)).slice(-3);
}

/** Whether the log lines say that the host cannot pull the image. */
export function isPullProblem(problems: string[]): boolean {
  return problems.some((line) => PULL.test(line));
}

/**
 * Explains why the workers are not ready and what to do. The worker states have the same meaning as in RunPod's own
 * tools.
 *
 * @param problems result of `hostProblems`
 */
export function explainWorkers(workers: Workers, problems: string[]): string {
  if (isPullProblem(problems)) {
    return "The image cannot be pulled: check its name, and whether the registry credentials are still valid.";
  }
  if (workers.unhealthy > 0) {
    return (
      "Workers crash: read a worker's log in RunPod's console. Usual causes: an error at start, an image without " +
      "linux/amd64, a disk smaller than the unpacked image, a CUDA version that the host does not have."
    );
  }
  if (workers.throttled > 0) {
    return "Workers wait for a GPU (throttled): allow more GPU pools or data centres, or wait.";
  }
  if (workers.initializing > 0) {
    return (
      "Workers are still starting: they pull the image or load the model. Check the registry credentials, " +
      "or raise runpodRolloutLimitMs for a large image."
    );
  }
  if (workers.stale > 0 || workers.rolloutPercent !== undefined)
    return "Old workers are still busy with jobs. They stop when their jobs are done.";
  return "RunPod has not started any worker: it has no free GPU, or workersMax is 0.";
}
