import * as z from "zod/mini";
import { fisherExact, mannWhitney, type Part, sum } from "./statistics";

/** Longest first text that is measured, in milliseconds. */
export const LONGEST_FIRST_TEXT_MS = 8_000;
/** Upper bounds of the first-text histogram, in milliseconds. Each is about 1.4 times the one before. */
const FIRST_TEXT_BOUNDS_MS = [
  125,
  175,
  250,
  350,
  500,
  700,
  1_000,
  1_400,
  2_000,
  2_800,
  4_000,
  5_600,
  LONGEST_FIRST_TEXT_MS,
];

/** Replies of one model version in one slot of time. */
export interface ReplyCounts {
  /**
   * Chats for which the version was chosen, with a reply or with a failure. Cancelled and refused chats do not count.
   */
  replies: number;
  /** Failed replies. A reply that the released model gave instead also counts here. */
  failed: number;
  /** Replies that are filtered, or have no text. */
  empty: number;
  /** Replies that break the contract of `contract/worker.ts`. */
  invalid: number;
  /**
   * Histogram of the time to the first text (`firstTextBin`) of each complete reply. The worker measures it from the
   * start of the job. So the start of a worker does not count.
   */
  firstText: readonly number[];
}

/** State of the candidate's workers: minutes of a crash loop and of no capacity, without a break (`noteHealth`). */
export const WorkerMinutes = z.object({ crashLoop: z.int(), noCapacity: z.int() });
export type WorkerMinutes = z.infer<typeof WorkerMinutes>;

/** Observations of a candidate. Both lists have one entry per slot of five minutes, the newest last. */
export interface Observations {
  candidate: readonly ReplyCounts[];
  released: readonly ReplyCounts[];
  workers: WorkerMinutes;
}

/** Decision about a candidate. `wait` means that there are too few replies for a decision. */
export interface Verdict {
  action: "keep" | "wait" | "rollback";
  /** One sentence for the operator. */
  reason: string;
}

/** Duration of a slot. A verdict looks only at complete slots. */
export const SLOT_MINUTES = 5;
/** Number of slots that a verdict looks at. */
export const SLOTS = 6;

/** Minimum number of candidate replies for a comparison of the first texts, and for the verdict `keep`. */
const MIN_REPLIES = 50;
/**
 * Minimum number of candidate replies for a comparison of the failed and the empty replies. It can be small, because
 * `SIGNIFICANCE` prevents false rollbacks.
 */
const MIN_REPLIES_FOR_FAILURES = 5;
/**
 * Significance level of each test. There is a verdict each minute, but the counts change only when a slot ends: 288
 * times a day, with at most 8 tests each time. By the union bound, a healthy candidate has at most 0.0003 false
 * rollbacks per day. The real number is smaller, because verdicts share slots and Fisher's test is conservative.
 */
const SIGNIFICANCE = 1e-7;
/** A difference below this number of points does not matter to customers, even if it is certain. */
const MIN_DIFFERENCE = 0.02;
/** Share of the pairs of replies in which the candidate is slower. 0.7 is about a 1.4 times slower first text. */
const MIN_SLOWER_SHARE = 0.7;
/** Minutes of a crash loop, or of a lack of workers, after which the candidate is rolled back. */
const LONGEST_MINUTES = { crashLoop: 2, noCapacity: 5 };

/** Counts of a healthy version. They replace the released version's counts when it has too few replies. */
const HEALTHY: ReplyCounts = { replies: 1_000, failed: 10, empty: 20, invalid: 0, firstText: [] };

/** Number of the histogram's bin for a first text. */
export function firstTextBin(firstTextMs: number): number {
  const bin = FIRST_TEXT_BOUNDS_MS.findIndex((bound) => firstTextMs <= bound);
  return bin === -1 ? FIRST_TEXT_BOUNDS_MS.length : bin;
}

/**
 * Upper bound of a part of a histogram's first texts, in milliseconds. `LONGEST_FIRST_TEXT_MS` + 1 when it is above the
 * last bound. Undefined when the histogram is empty.
 */
export function firstTextMs(histogram: readonly number[], part: number): number | undefined {
  if (sum(histogram) === 0) return undefined;
  return FIRST_TEXT_BOUNDS_MS[percentileBin(histogram, part)] ?? LONGEST_FIRST_TEXT_MS + 1;
}

/** Number of the slot of a time. */
export function slotOf(time: Date): number {
  return Math.floor(time.getTime() / (SLOT_MINUTES * 60_000));
}

/** Counts of a slot without replies. */
export function noReplies(): ReplyCounts {
  const firstText = Array.from({ length: FIRST_TEXT_BOUNDS_MS.length + 1 }, () => 0);
  return { replies: 0, failed: 0, empty: 0, invalid: 0, firstText };
}

/**
 * Judges a candidate. A broken contract, a crash loop and a lack of workers end it without a minimum number of replies.
 * All other rules compare it with the released version, over the last ten minutes and over all slots. The short window
 * finds a new fault soon. The long window has enough replies when there are few customers. Failed and empty replies need
 * fewer replies than first texts.
 */
export function judge({ candidate, released, workers }: Observations): Verdict {
  const urgent = urgentReason(total(candidate), workers);
  if (urgent) return { action: "rollback", reason: urgent };
  const windows = [10 / SLOT_MINUTES, SLOTS].map((slots) => [total(candidate, slots), total(released, slots)] as const);
  for (const [own, other] of windows) {
    const reason = worseReason(own, other);
    if (reason) return { action: "rollback", reason };
  }
  const { replies } = total(candidate);
  if (replies >= MIN_REPLIES)
    return { action: "keep", reason: `${replies} replies, not worse than the released version.` };
  return {
    action: "wait",
    reason: `${replies} replies, too few for a verdict: at least ${MIN_REPLIES} are needed.`,
  };
}

function urgentReason({ invalid }: ReplyCounts, { crashLoop, noCapacity }: WorkerMinutes): string | undefined {
  if (invalid > 0) return `${invalid} replies break the contract.`;
  if (crashLoop >= LONGEST_MINUTES.crashLoop) return `The workers have crashed for ${crashLoop} minutes.`;
  if (noCapacity >= LONGEST_MINUTES.noCapacity) return `Jobs have had no worker for ${noCapacity} minutes.`;
  return undefined;
}

function worseReason(candidate: ReplyCounts, released: ReplyCounts): string | undefined {
  if (candidate.replies < MIN_REPLIES_FOR_FAILURES) return undefined;
  const baseline = released.replies < MIN_REPLIES ? HEALTHY : released;
  for (const part of ["failed", "empty"] as const) {
    const [own, other] = [candidate[part] / candidate.replies, baseline[part] / baseline.replies];
    if (!isMore({ of: candidate.replies, count: candidate[part] }, { of: baseline.replies, count: baseline[part] }))
      continue;
    return `${percent(own)} of the replies are ${part}, against ${percent(other)} of the released version.`;
  }
  return slowerReason(candidate.firstText, baseline.firstText);
}

/** The candidate is slower if all of its replies are slower (ranks), or if more of its replies are very slow (tail). */
function slowerReason(candidate: readonly number[], released: readonly number[]): string | undefined {
  const own = sum(candidate);
  const other = sum(released);
  if (own < MIN_REPLIES || other < MIN_REPLIES) return undefined;
  const ranks = mannWhitney(candidate, released);
  const p95 = percentileBin(released, 0.95);
  const tail = { of: own, count: sum(candidate.slice(p95 + 1)) };
  const releasedTail = { of: other, count: sum(released.slice(p95 + 1)) };
  const isSlower = ranks.above >= MIN_SLOWER_SHARE && ranks.probability < SIGNIFICANCE;
  if (!isSlower && !isMore(tail, releasedTail)) return undefined;
  const late = percent(tail.count / own);
  return `The first text is slower: ${late} of the replies start later than 95% of the released version's replies.`;
}

/** Whether the first part is larger by points that matter, and not by chance. */
function isMore(observed: Part, baseline: Part): boolean {
  const points = observed.count / observed.of - baseline.count / baseline.of;
  return points >= MIN_DIFFERENCE && fisherExact(observed, baseline) < SIGNIFICANCE;
}

function percentileBin(histogram: readonly number[], part: number): number {
  let counted = 0;
  const needed = sum(histogram) * part;
  return histogram.findIndex((count) => {
    counted += count;
    return counted >= needed;
  });
}

/** Sum of the newest slots. */
export function total(slots: readonly ReplyCounts[], newest = SLOTS): ReplyCounts {
  return slots.slice(-newest).reduce(
    (all, slot) => ({
      replies: all.replies + slot.replies,
      failed: all.failed + slot.failed,
      empty: all.empty + slot.empty,
      invalid: all.invalid + slot.invalid,
      firstText: all.firstText.map((count, bin) => count + (slot.firstText[bin] ?? 0)),
    }),
    noReplies(),
  );
}

function percent(part: number): string {
  return `${(part * 100).toFixed(1)}%`;
}
