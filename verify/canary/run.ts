import { isChosen } from "../../functions/core/canary/candidate";
import { Random } from "../chaos/random";
import { faults, playFault, playHealthy } from "./simulation";

/** Report of `verify canary`. */
export interface CanaryReport {
  /** Share of 100,000 user ids that a candidate with a share of 5% answers. */
  sharePercent: number;
  /** Whether no user returns to the released model when the share grows. */
  monotone: boolean;
  /** Whether each user gets the same answer every time. */
  sticky: boolean;
  /** Healthy candidates that a verdict ended. */
  falseAlarms: number;
  /** Healthy candidates played, six hours each. */
  healthyRuns: number;
  /** Each fault, the minutes until its rollback, and the verdict's reason. */
  faults: { fault: string; minutes: number | undefined; reason: string }[];
  /** Reason of the verdict about a candidate with too few replies. It does not end the candidate. */
  tooFewReplies: string;
  ok: boolean;
}

const USERS = 100_000;
const HOURS = 6;
const MOST_MINUTES = 10;

/**
 * Measures the choice of customers with 100,000 ids, and plays healthy and broken candidates against the verdict rule.
 *
 * @param runs number of healthy candidates
 */
export function runCanary(runs: number, seed: number, onRun: (run: number) => void): CanaryReport {
  const choice = measureChoice(seed);
  let falseAlarms = 0;
  for (let run = 0; run < runs; run++) {
    if (playHealthy(HOURS, trafficOf(run, seed), seed + run)) falseAlarms += 1;
    onRun(run + 1);
  }
  const caught = Object.entries(faults).map(([fault, change]) => ({
    fault,
    ...playFault(change, { candidate: 60, released: 600 }, seed),
  }));
  const quiet = playFault(faults.errors, { candidate: 3, released: 60 }, seed);
  const ok =
    Math.abs(choice.sharePercent - 5) <= 0.2 &&
    choice.monotone &&
    choice.sticky &&
    falseAlarms === 0 &&
    quiet.minutes === undefined &&
    caught.every(({ minutes = Number.POSITIVE_INFINITY }) => minutes <= MOST_MINUTES);
  return { ...choice, falseAlarms, healthyRuns: runs, faults: caught, tooFewReplies: quiet.reason, ok };
}

function measureChoice(seed: number): Pick<CanaryReport, "sharePercent" | "monotone" | "sticky"> {
  const at = (share: number) => ({ image: `candidate-${seed}`, share, testers: [], isReady: true });
  let chosen = 0;
  let monotone = true;
  let sticky = true;
  for (let user = 0; user < USERS; user++) {
    const id = `user-${seed}-${user}`;
    const steps = [0, 5, 25, 100].map((share) => isChosen("mistral", at(share), id));
    const [, five, twentyFive, all] = steps;
    if (five) chosen += 1;
    if (steps[0] || (five && !twentyFive) || !all) monotone = false;
    if (five !== isChosen("mistral", at(5), id)) sticky = false;
  }
  return { sharePercent: (chosen / USERS) * 100, monotone, sticky };
}

/** Traffic of a run: from a few chats of the candidate in five minutes to as many as a share of half would give. */
function trafficOf(run: number, seed: number): { candidate: number; released: number } {
  const random = new Random(seed, run);
  return { candidate: random.int(3, 100), released: random.int(100, 300) };
}
