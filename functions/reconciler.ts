import { type BillingSettings, createBilling } from "./stripe/billing";
import { handleEvent } from "./stripe/handleEvent";
import { findUnhandledEvents } from "./stripe/unhandledEvents";
import { createEventLog } from "./tables/eventLog";

/** Settings of the reconciler. */
export type Settings = BillingSettings & { ephemeralTable: string };

/** What one run did. */
export interface Reconciled {
  /** Events that had not come, and are handled now. */
  events: number;
  /** Customers read again because a deadline had passed, or a day. */
  reviews: number;
  failed: number;
  /** Whether the time was enough; if not, the next run goes on. */
  complete: boolean;
}

const MOST_EVENTS = 1_000;
/** One customer takes a second or two; a run ends before Lambda ends it. */
const RESERVE_MS = 30_000;
const AT_ONCE = 4;

/**
 * Runs by a schedule and heals what no event did: events that never came, because we or the network failed or the endpoint
 * was not there, and customers whose deadline has passed. A run in which something failed counts as failed for Lambda, so
 * that it shows in its errors; what failed comes again.
 */
export function create(
  settings: Settings,
): (event: unknown, context: { getRemainingTimeInMillis(): number }) => Promise<Reconciled> {
  const billing = createBilling(settings);
  const log = createEventLog(settings.ephemeralTable);

  return async (_event, context) => {
    const now = new Date();
    const done: Reconciled = { events: 0, reviews: 0, failed: 0, complete: true };

    const tellOfFailure = (what: string, error: Error) => {
      done.failed++;
      console.error({ alarm: "reconciler_failed", what, cause: `${error.message} ${error.cause ?? ""}` });
    };

    /** Works through items a few at a time; one that fails holds up none of the others. */
    async function workThrough<T>(
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
            (error: Error) => tellOfFailure(what, error),
          )
          .finally(() => running.delete(one));
        running.add(one);
        if (running.size >= AT_ONCE) await Promise.race(running);
      }
      await Promise.all(running);
    }

    if (settings.stripeKeyParameter) {
      const { client: stripe } = await billing.connection();
      const sources = { billing, stripe, owner: settings.stripeOwner, log };
      // Deadlines are looked at also while Stripe's list of events cannot be had.
      const events = await findUnhandledEvents(stripe, log, now, MOST_EVENTS).catch((error: Error) => {
        tellOfFailure("events", error);
        return [];
      });
      await workThrough("events", events, (event) => handleEvent(event, sources));
    }
    await workThrough("reviews", billing.rows.due(now), (userId) => billing.sync(userId));
    console.log({ reconciled: done });
    if (done.failed > 0) throw new Error(`${done.failed} of ${done.events + done.reviews + done.failed} failed`);
    return done;
  };
}
