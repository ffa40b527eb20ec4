import { causesText, logCauses } from "./lib/causes";
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
 * A run starts no new item when less time than this is left before Lambda's timeout. One customer takes one or two
 * seconds.
 */
const RESERVE_MS = 30_000;
const CONCURRENCY = 4;

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

    const recordFailure = (what: string, error: Error) => {
      done.failed++;
      console.error({ alarm: "reconciler_failed", what, cause: causesText(error) });
    };

    /** Processes items a few at a time. A failed item does not stop the others. */
    async function processAll<T>(
      what: "events" | "reviews",
      items: AsyncIterable<T> | Iterable<T>,
      each: (item: T) => Promise<unknown>,
    ): Promise<void> {
      const running = new Set<Promise<void>>();
      for await (const item of items) {
        if (context.getRemainingTimeInMillis() < RESERVE_MS) {
          done.complete = false;
          break;
        }
        const one = each(item)
          .then(
            () => void done[what]++,
            (error: Error) => recordFailure(what, error),
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
      // Deadlines are still reviewed when Stripe's event list is unavailable.
      const events = await findUnhandledEvents(stripe, log, now, MAX_EVENTS).catch((error: Error) => {
        recordFailure("events", error);
        return [];
      });
      await processAll("events", events, (event) => handleEvent(event, sources));
    }
    await processAll("reviews", billing.rows.due(now), (userId) => billing.sync(userId));
    console.log({ reconciled: done });
    if (done.failed > 0)
      throw new Error(`${done.failed} of ${done.events + done.reviews + done.failed} events and reviews failed`);
    return done;
  });
}
