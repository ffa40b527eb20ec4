import { setTimeout as sleep } from "node:timers/promises";
import { cause, describe, hostProblems, isEmpty } from "./diagnosis";
import { RunpodError } from "./error";
import type { Fleet, FleetWatch } from "./fleet";
import type { Wait } from "./retry";

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

/** What holds the workers up, and what to do about it. */
async function explain(watch: FleetWatch, endpoint: Rolling, fleet: Fleet, waitedMs: number): Promise<string> {
  const problems = await hostProblems(watch, endpoint.id, fleet);
  const host = problems.length > 0 ? ` RunPod's host says: ${problems.join(" | ")}` : "";
  const head = `The workers of endpoint "${endpoint.name}" (${endpoint.id}) do not run the new version after ${Math.round(waitedMs / 1000)} s`;
  return `${head} (${describe(fleet)}). ${cause(fleet, problems)}${host}`;
}

function tell({ name }: Rolling, words: string): void {
  console.log(`RunPod endpoint ${name}: ${words}`);
}
