import { setTimeout as sleep } from "node:timers/promises";
import { RunpodError } from "./error";
import type { Fleet, FleetWatch } from "./fleet";
import type { Wait } from "./patience";

/** An endpoint whose workers shall run what it is made of now. */
export interface Rolling {
  id: string;
  name: string;
  workersMin: number;
}

/** RunPod starts a release a moment after the change; so many looks without a new version say that there is none. */
const LOOKS_FOR_A_RELEASE = 3;
/** So many looks in a row at nothing but crashes are enough, */
const LOOKS_AT_CRASHES = 5;
/** and so many without an answer, once there was one. */
const LOOKS_AT_NOTHING = 3;
/** A line of progress comes with every change, and at least this often. */
const LINE_EVERY_MS = 30_000;

/**
 * Makes a change and waits until the endpoints' workers run it, telling of progress on stdout, which Pulumi shows.
 *
 * @param wait a limit of 0 does not wait
 * @throws RunpodError that says what holds the workers up, when one crashes again and again or the limit is over
 */
export async function rollingOut(
  watch: FleetWatch,
  wait: Wait,
  endpoints: Rolling[],
  change: () => Promise<unknown>,
): Promise<void> {
  if (wait.limitMs === 0) {
    await change();
    return;
  }
  const before = await Promise.all(endpoints.map(({ id }) => watch.look(id)));
  await change();
  const outcomes = await Promise.allSettled(
    endpoints.map((endpoint, index) => rolledOut(watch, wait, endpoint, before[index])),
  );
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}

async function rolledOut(
  watch: FleetWatch,
  { intervalMs, limitMs }: Wait,
  endpoint: Rolling,
  before: Fleet | undefined,
): Promise<void> {
  let said = "";
  let saidAtMs = 0;
  let crashes = 0;
  let unseen = 0;
  for (let look = 1, waitedMs = 0; ; look++, waitedMs += intervalMs) {
    const fleet = await watch.look(endpoint.id);
    if (fleet === undefined) {
      unseen += 1;
      if (before === undefined || unseen >= LOOKS_AT_NOTHING) {
        tell(endpoint, "RunPod does not tell how its workers are; not waiting for them.");
        return;
      }
      await sleep(intervalMs);
      continue;
    }
    unseen = 0;
    // Where no worker is, the next one runs the new version anyway.
    const isReleased = isEmpty(fleet) || fleet.version !== before?.version || look >= LOOKS_FOR_A_RELEASE;
    if (isReleased && isDone(fleet, endpoint)) {
      if (said !== "") tell(endpoint, `${describe(fleet)}. Done.`);
      return;
    }
    crashes = fleet.unhealthy > 0 && fleet.ready === 0 ? crashes + 1 : 0;
    const isOver = waitedMs + intervalMs > limitMs;
    if (isReleased && (isOver || crashes >= LOOKS_AT_CRASHES)) {
      throw new RunpodError(await explain(watch, endpoint, fleet, waitedMs), { transient: false, maybeDone: true });
    }
    const words = describe(fleet);
    if (words !== said || waitedMs - saidAtMs >= LINE_EVERY_MS) {
      tell(endpoint, `${words} (${Math.round(waitedMs / 1000)} s)`);
      said = words;
      saidAtMs = waitedMs;
    }
    await sleep(intervalMs);
  }
}

/** Whether all workers there need to be run the current version. More that RunPod is about to add do not matter. */
function isDone(fleet: Fleet, { workersMin }: Pick<Rolling, "workersMin">): boolean {
  if (fleet.stale > 0 || fleet.unhealthy > 0) return false;
  return isEmpty(fleet) ? workersMin === 0 : fleet.ready >= Math.max(1, workersMin);
}

function isEmpty({ stale, ready, initializing, throttled, unhealthy }: Fleet): boolean {
  return stale + ready + initializing + throttled + unhealthy === 0;
}

function describe({ version, ready, stale, initializing, throttled, unhealthy }: Fleet): string {
  const parts = [
    `${ready} ready`,
    ...(stale > 0 ? [`${stale} of the old version`] : []),
    ...(initializing > 0 ? [`${initializing} starting`] : []),
    ...(throttled > 0 ? [`${throttled} waiting for a GPU`] : []),
    ...(unhealthy > 0 ? [`${unhealthy} crashing`] : []),
  ];
  return `workers${version === undefined ? "" : ` of version ${version}`}: ${parts.join(", ")}`;
}

/** What holds the workers up, and what to do about it. */
async function explain(watch: FleetWatch, endpoint: Rolling, fleet: Fleet, waitedMs: number): Promise<string> {
  const [workerId] = fleet.waitingIds;
  const log = workerId === undefined ? [] : await watch.hostLog(endpoint.id, workerId);
  const problems = log.filter((line) => PROBLEM.test(line)).slice(-3);
  const host = problems.length > 0 ? ` RunPod's host says: ${problems.join(" | ")}` : "";
  const head = `The workers of endpoint "${endpoint.name}" (${endpoint.id}) do not run the new version after ${Math.round(waitedMs / 1000)} s`;
  return `${head} (${describe(fleet)}). ${cause(fleet, problems)}${host}`;
}

const PROBLEM =
  /error|fail|denied|unauthori[sz]ed|forbidden|no space|not found|manifest|exit code|back-?off|killed|oom/i;
const PULL = /pull|manifest|denied|unauthori[sz]ed|forbidden|no basic auth|registry/i;

/** The likely cause by the workers' states, as RunPod's own tools read them. */
function cause(fleet: Fleet, problems: string[]): string {
  if (problems.some((line) => PULL.test(line))) {
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

function tell({ name }: Rolling, words: string): void {
  console.log(`RunPod endpoint ${name}: ${words}`);
}
