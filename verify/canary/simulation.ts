import {
  firstTextBin,
  judge,
  noReplies,
  type ReplyCounts,
  SLOT_MINUTES,
  SLOTS,
  type Verdict,
  type WorkerMinutes,
} from "../../functions/core/canary/verdict";
import { Random } from "../chaos/random";

/** Properties of a simulated model version. */
interface Version {
  /** Share of the replies, 0 to 1. */
  failed: number;
  empty: number;
  invalid: number;
  /** Median time to the first text, in milliseconds. The times are log-normal with `SPREAD`. */
  firstTextMs: number;
  /** Share of the replies that start ten times later. */
  stalled: number;
  workers: WorkerMinutes;
}

const HEALTHY: Version = {
  failed: 0.01,
  empty: 0.02,
  invalid: 0,
  firstTextMs: 600,
  stalled: 0.005,
  workers: { crashLoop: 0, noCapacity: 0 },
};

/** Standard deviation of the logarithm of the time to the first text. */
const SPREAD = 0.4;

/** Faults of a candidate, by their names in the report. */
export const faults = {
  errors: { failed: 0.3 },
  "slow first text": { firstTextMs: 1_200 },
  "stalled replies": { stalled: 0.25 },
  "empty replies": { empty: 0.3 },
  "broken contract": { invalid: 0.05 },
  "crash loop": { workers: { crashLoop: SLOT_MINUTES, noCapacity: 0 } },
  "no capacity": { workers: { crashLoop: 0, noCapacity: SLOT_MINUTES } },
} satisfies Record<string, Partial<Version>>;

/** Chats per slot of five minutes. */
interface Traffic {
  candidate: number;
  released: number;
}

/**
 * Plays a candidate that is healthy for 30 minutes and then has a fault, with one verdict every five minutes.
 *
 * @returns minutes from the fault to the rollback, with its reason. `minutes` is undefined when no verdict within an hour
 * ends the candidate
 */
export function playFault(
  fault: Partial<Version>,
  traffic: Traffic,
  seed: number,
): { minutes: number | undefined; reason: string } {
  let reason = "";
  for (const { slot, verdict } of play(18, traffic, new Random(seed), (now) => (now < SLOTS ? {} : fault))) {
    reason = verdict.reason;
    if (verdict.action === "rollback") return { minutes: (slot + 1 - SLOTS) * SLOT_MINUTES, reason };
  }
  return { minutes: undefined, reason };
}

/** Plays a candidate without a fault. Returns the reason of a false rollback, or undefined. */
export function playHealthy(hours: number, traffic: Traffic, seed: number): string | undefined {
  for (const { verdict } of play((hours * 60) / SLOT_MINUTES, traffic, new Random(seed), () => ({}))) {
    if (verdict.action === "rollback") return verdict.reason;
  }
  return undefined;
}

function* play(
  slots: number,
  traffic: Traffic,
  random: Random,
  faultAt: (slot: number) => Partial<Version>,
): Generator<{ slot: number; verdict: Verdict }> {
  const [candidate, released]: [ReplyCounts[], ReplyCounts[]] = [[], []];
  for (let slot = 0; slot < slots; slot++) {
    // Load and outages of the platform change both versions alike.
    const load = 1 + random.next();
    const shared = {
      ...HEALTHY,
      firstTextMs: HEALTHY.firstTextMs * load,
      failed: random.chance(0.02) ? 0.2 : HEALTHY.failed,
    };
    const fault = faultAt(slot);
    const worse = { ...shared, ...fault, firstTextMs: (fault.firstTextMs ?? HEALTHY.firstTextMs) * load };
    candidate.push(replies(worse, traffic.candidate, random));
    released.push(replies(shared, traffic.released, random));
    const observed = { candidate: candidate.slice(-SLOTS), released: released.slice(-SLOTS), workers: worse.workers };
    yield { slot, verdict: judge(observed) };
  }
}

function replies(version: Version, chats: number, random: Random): ReplyCounts {
  const { firstText, ...counts } = { ...noReplies(), firstText: [...noReplies().firstText] };
  for (let chat = 0; chat < chats; chat++) {
    counts.replies += 1;
    if (random.chance(version.invalid)) counts.invalid += 1;
    if (random.chance(version.failed)) {
      counts.failed += 1;
      continue;
    }
    if (random.chance(version.empty)) counts.empty += 1;
    const stall = random.chance(version.stalled) ? 10 : 1;
    const bin = firstTextBin(version.firstTextMs * stall * Math.exp(SPREAD * normal(random)));
    firstText[bin] = (firstText[bin] ?? 0) + 1;
  }
  return { ...counts, firstText };
}

/** A number of the standard normal distribution (Box-Muller). */
function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
}
