import { raiseAlarm } from "./lib/alarms";
import { causesText, logCauses } from "./lib/causes";
import { putMetrics } from "./lib/metrics";
import { type BillingSettings, createBilling } from "./stripe/billing";
import { handleEvent } from "./stripe/handleEvent";
import { findUnhandledEvents } from "./stripe/unhandledEvents";
import { createEventLog } from "./tables/eventLog";

/** Settings of the reconciler. */
export type Settings = BillingSettings & { ephemeralTable: string };

/** Result of one run. */
export interface Reconciled {
  /** Number of events that the webhook never handled and this run has handled. */
  events: number;
  /** Number of customers that were read from Stripe again, after a passed deadline or for the daily review. */
  reviews: number;
  failed: number;
  /** False when time ran out. The next run then continues. */
  complete: boolean;
}

const MAX_EVENTS = 1_000;
/**
 * Time that a run keeps free before Lambda's timeout: no new item starts in this time. One customer takes one or two
 * seconds.
 */
const RESERVE_MS = 30_000;
const CONCURRENCY = 4;
/**
 * Parts of a run's time. The search for events ends after the first part, and the handling of events ends after the
 * second part. The reviews get the remaining time.
 */
const SEARCH_SHARE = 0.25;
const EVENTS_SHARE = 0.6;

/**
 * Runs on a schedule. It handles events that the webhook never handled, and syncs customers who are due for a review.
 * If any item fails, the run throws, so that the failure counts in Lambda's error metric. The next run retries failed
 * items.
 */
export function create(
  settings: Settings,
): (event: unknown, context: { getRemainingTimeInMillis(): number }) => Promise<Reconciled> {
  const billing = createBilling(settings);
  const log = createEventLog(settings.ephemeralTable);

  return logCauses(async (_event, context) => {
    const now = new Date();
    const done: Reconciled = { events: 0, reviews: 0, failed: 0, complete: true };

    /** Number of handled events of this stack. A foreign event does not count as a fix. */
    let fixes = 0;

    const total = context.getRemainingTimeInMillis();
    /** Whether the run is still within this share of its time. */
    const isWithin = (share: number) =>
      context.getRemainingTimeInMillis() > RESERVE_MS + (total - RESERVE_MS) * (1 - share);

    /** @param item names the event or the customer, so that an operator can look it up with `npm run admin` */
    const recordFailure = (what: string, item: string, error: Error) => {
      done.failed++;
      raiseAlarm("reconciler_failed", { what, item, cause: causesText(error) });
    };

    /** Processes items a few at a time. A failed item does not stop the others. */
    async function processAll<T>(
      what: "events" | "reviews",
      items: AsyncIterable<T> | Iterable<T>,
      share: number,
      nameOf: (item: T) => string,
      each: (item: T) => Promise<unknown>,
    ): Promise<void> {
      const running = new Set<Promise<void>>();
      for await (const item of items) {
        if (!isWithin(share)) {
          done.complete = false;
          break;
        }
        const one = each(item)
          .then(
            () => void done[what]++,
            (error: Error) => recordFailure(what, nameOf(item), error),
          )
          .finally(() => running.delete(one));
        running.add(one);
        if (running.size >= CONCURRENCY) await Promise.race(running);
      }
      await Promise.all(running);
    }

    if (settings.stripeKeyParameter) {
      const { client: stripe } = await billing.connection();
      const sources = { billing, stripe, owner: settings.stripeOwner, log };
      // If Stripe's event list is unavailable, the run continues with the reviews.
      const limits = { most: MAX_EVENTS, hasTime: () => isWithin(SEARCH_SHARE) };
      const { events, complete } = await findUnhandledEvents(stripe, log, now, limits).catch((error: Error) => {
        recordFailure("events", "list of events", error);
        return { events: [], complete: true };
      });
      done.complete &&= complete;
      await processAll(
        "events",
        events,
        EVENTS_SHARE,
        ({ id }) => id,
        async (event) => {
          if ((await handleEvent(event, sources)) === "synced") fixes++;
        },
      );
    }
    await processAll(
      "reviews",
      billing.rows.due(now),
      1,
      (userId) => userId,
      (userId) => billing.sync(userId),
    );
    if (!done.complete) raiseAlarm("reconciler_incomplete");
    putMetrics({ ReconcilerFixes: fixes });
    console.log({ reconciled: done });
    if (done.failed > 0)
      throw new Error(`${done.failed} of ${done.events + done.reviews + done.failed} events and reviews failed`);
    return done;
  });
}
