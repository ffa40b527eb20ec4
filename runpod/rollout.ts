import { setTimeout as sleep } from "node:timers/promises";
import { describeWorkers, explainWorkers, hasNoWorkers, hostProblems } from "./diagnosis";
import { RunpodError } from "./error";
import type { Polling } from "./retry";
import type { WorkerMonitor, Workers } from "./workers";

/** An endpoint whose workers must run its new version. */
export interface RolloutTarget {
  id: string;
  name: string;
  workersMin: number;
}

/**
 * RunPod starts a rollout shortly after the change. If this number of checks finds no new version, RunPod does not roll
 * the workers.
 */
const CHECKS_FOR_RELEASE = 3;
/** A rollout fails after this number of consecutive checks that find a crashing worker and no ready worker. */
const CHECKS_OF_CRASHES = 5;
/** The program stops waiting after this number of consecutive checks without an answer. */
const CHECKS_WITHOUT_ANSWER = 3;
/** Longest time between two progress messages. */
const PROGRESS_INTERVAL_MS = 30_000;

/**
 * Makes a change and waits until the endpoints' workers run the new version. Logs progress to stdout, which Pulumi
 * shows.
 *
 * @param polling interval and limit of the checks. With limit 0, the function does not wait
 * @throws RunpodError with the reason when a worker keeps crashing or the time limit is over
 */
export async function applyRollout(
  monitor: WorkerMonitor,
  polling: Polling,
  endpoints: RolloutTarget[],
  change: () => Promise<unknown>,
): Promise<void> {
  if (polling.limitMs === 0) {
    await change();
    return;
  }
  const before = await Promise.all(endpoints.map(({ id }) => monitor.getWorkers(id)));
  await change();
  const outcomes = await Promise.allSettled(
    endpoints.map((endpoint, index) => waitForRollout(monitor, polling, endpoint, before[index])),
  );
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}

async function waitForRollout(
  monitor: WorkerMonitor,
  { intervalMs, limitMs }: Polling,
  endpoint: RolloutTarget,
  before: Workers | undefined,
): Promise<void> {
  let lastState = "";
  let lastLogMs = 0;
  let crashes = 0;
  let unanswered = 0;
  const startedAt = performance.now();
  for (let check = 1; ; check += 1) {
    const workers = await monitor.getWorkers(endpoint.id);
    if (workers === undefined) {
      unanswered += 1;
      if (before === undefined || unanswered >= CHECKS_WITHOUT_ANSWER) {
        log(endpoint, "RunPod does not return the state of the workers, so the program does not wait for them.");
        return;
      }
      await sleep(intervalMs);
      continue;
    }
    unanswered = 0;
    // Includes the time of the calls, which may wait for RunPod's rate limit.
    const waitedMs = performance.now() - startedAt;
    // Without workers there is nothing to wait for: the next worker runs the new version.
    const isReleased = hasNoWorkers(workers) || workers.version !== before?.version || check >= CHECKS_FOR_RELEASE;
    if (isReleased && isRolledOut(workers, endpoint)) {
      if (lastState !== "") log(endpoint, `${describeWorkers(workers)}. Done.`);
      return;
    }
    crashes = workers.unhealthy > 0 && workers.ready === 0 ? crashes + 1 : 0;
    const isOver = waitedMs + intervalMs > limitMs;
    if (isReleased && (isOver || crashes >= CHECKS_OF_CRASHES)) {
      throw new RunpodError(await explain(monitor, endpoint, workers, waitedMs), {
        transient: false,
        maybeDone: true,
      });
    }
    const state = describeWorkers(workers);
    if (state !== lastState || waitedMs - lastLogMs >= PROGRESS_INTERVAL_MS) {
      log(endpoint, `${state} (${Math.round(waitedMs / 1000)} s)`);
      lastState = state;
      lastLogMs = waitedMs;
    }
    await sleep(intervalMs);
  }
}

/** Whether enough workers run the current version and no worker runs an old version. Extra workers may still start. */
function isRolledOut(workers: Workers, { workersMin }: Pick<RolloutTarget, "workersMin">): boolean {
  if (workers.stale > 0 || workers.rolloutPercent !== undefined || workers.unhealthy > 0) return false;
  return hasNoWorkers(workers) ? workersMin === 0 : workers.ready >= Math.max(1, workersMin);
}

/** Explains why the workers do not run the new version and what to do. */
async function explain(monitor: WorkerMonitor, endpoint: RolloutTarget, workers: Workers, waitedMs: number) {
  const problems = await hostProblems(monitor, endpoint.id, workers);
  const host = problems.length > 0 ? ` Log of RunPod's host: ${problems.join(" | ")}` : "";
  const seconds = Math.round(waitedMs / 1000);
  const head = `The workers of endpoint "${endpoint.name}" (${endpoint.id}) do not run the new version after ${seconds} s`;
  return `${head} (${describeWorkers(workers)}). ${explainWorkers(workers, problems)}${host}`;
}

function log({ name }: RolloutTarget, text: string): void {
  console.log(`RunPod endpoint ${name}: ${text}`);
}
