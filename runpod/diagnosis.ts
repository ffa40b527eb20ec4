import type { Fleet, FleetWatch } from "./fleet";

const PROBLEM =
  /error|fail|denied|unauthori[sz]ed|forbidden|no space|not found|manifest|exit code|back-?off|killed|oom/i;
const PULL = /pull|manifest|denied|unauthori[sz]ed|forbidden|no basic auth|registry/i;

/** Whether there is no worker at all. */
export function isEmpty({ stale, ready, initializing, throttled, unhealthy }: Fleet): boolean {
  return stale + ready + initializing + throttled + unhealthy === 0;
}

/** The workers of an endpoint in words: `workers of version 3: 1 ready, 2 crashing`. */
export function describe({ version, ready, stale, initializing, throttled, unhealthy }: Fleet): string {
  const parts = [
    `${ready} ready`,
    ...(stale > 0 ? [`${stale} of the old version`] : []),
    ...(initializing > 0 ? [`${initializing} starting`] : []),
    ...(throttled > 0 ? [`${throttled} waiting for a GPU`] : []),
    ...(unhealthy > 0 ? [`${unhealthy} crashing`] : []),
  ];
  return `workers${version === undefined ? "" : ` of version ${version}`}: ${parts.join(", ")}`;
}

/** What the host of a worker that is not ready complained of last: three lines at most, none when it says nothing. */
export async function hostProblems(watch: FleetWatch, endpointId: string, fleet: Fleet): Promise<string[]> {
  const [workerId] = fleet.waitingIds;
  const log = workerId === undefined ? [] : await watch.hostLog(endpointId, workerId);
  return log.filter((line) => PROBLEM.test(line)).slice(-3);
}

/** Whether a host's complaints are of the image, which it cannot pull. */
export function isPullProblem(problems: string[]): boolean {
  return problems.some((line) => PULL.test(line));
}

/**
 * The likely cause by the workers' states, as RunPod's own tools read them, and what to do.
 *
 * @param problems what `hostProblems` gave
 */
export function cause(fleet: Fleet, problems: string[]): string {
  if (isPullProblem(problems)) {
    return "The image cannot be pulled: check its name, and that the registry credentials are still good.";
  }
  if (fleet.unhealthy > 0) {
    return (
      "They crash: read a worker's log in RunPod's console. Usual causes: an error at start, an image without " +
      "linux/amd64, a disk smaller than the unpacked image, a CUDA version the host does not have."
    );
  }
  if (fleet.throttled > 0) {
    return "They wait for a GPU (throttled): name more GPU pools or data centres, or wait.";
  }
  if (fleet.initializing > 0) {
    return (
      "They are still starting, pulling the image or loading the model: check the registry credentials, " +
      "or give large images more time with runpodRolloutLimitMs."
    );
  }
  if (fleet.stale > 0) return "Old workers are still busy with their jobs; they end when these are done.";
  return "RunPod has started none: there is no capacity, or workersMax is 0.";
}
