import { webhookEvents } from "../stripe/events";
import { type BillingSettings, createBilling } from "./billing";
import { createEventLog } from "./eventLog";
import { handleEvent } from "./handleEvent";
import { allFromStripe } from "./stripeClient";
import { parseEvent, type StripeEvent } from "./stripeEvent";

/** Settings of the reconciler. */
export type Settings = BillingSettings & { ephemeralTable: string };

/** What one run did. */
export interface Reconciled {
  /** Events that Stripe could not deliver and that are handled now. */
  events: number;
  /** Customers read again because a deadline had passed, or a day. */
  reviews: number;
  failed: number;
  /** Whether the time was enough. */
  complete: boolean;
}

/** Stripe keeps events for 30 days, and delivers them for 3. */
const EVENTS_SECONDS = 7 * 24 * 3600;
/** What is younger is being delivered at this moment. */
const YOUNGEST_SECONDS = 60;
const MOST_EVENTS = 1_000;
/** One customer takes a second or two; a run ends before Lambda ends it. */
const RESERVE_MS = 30_000;
const AT_ONCE = 4;

/**
 * Runs by a schedule and heals what no event did: customers whose deadline has passed, and events that were never
 * delivered, because we or the network failed, or the endpoint did not exist. Lambda counts a run with failures as failed.
 */
export function create(
  settings: Settings,
): (event: unknown, context: { getRemainingTimeInMillis(): number }) => Promise<Reconciled> {
  const billing = createBilling(settings);
  const log = createEventLog(settings.ephemeralTable);
  const owner = settings.stripeOwner;

  async function undelivered(now: Date): Promise<StripeEvent[]> {
    if (!settings.stripeKeyParameter) return [];
    const { client } = await billing.connection();
    const seconds = Math.floor(now.getTime() / 1000);
    const created = { gte: seconds - EVENTS_SECONDS, lte: seconds - YOUNGEST_SECONDS };
    const list = client.events.list({ types: [...webhookEvents], delivery_success: false, created, limit: 100 });
    const events = (await allFromStripe(list, MOST_EVENTS)).flatMap((event) => parseEvent(event) ?? []);
    const unhandled: StripeEvent[] = [];
    for (let at = 0; at < events.length; at += 100) {
      const page = events.slice(at, at + 100);
      const handled = await log.find(page.map(({ id }) => id));
      unhandled.push(...page.filter(({ id }) => !handled.has(id)));
    }
    return unhandled.reverse();
  }

  return async (_event, context) => {
    const done: Reconciled = { events: 0, reviews: 0, failed: 0, complete: true };
    const isTimeUp = () => context.getRemainingTimeInMillis() < RESERVE_MS;

    /** Works through items a few at a time; one that fails holds up none of the others, and comes again. */
    async function work<T>(
      what: "events" | "reviews",
      items: AsyncIterable<T> | Iterable<T>,
      each: (item: T) => Promise<unknown>,
    ) {
      const running = new Set<Promise<void>>();
      for await (const item of items) {
        if (isTimeUp()) {
          done.complete = false;
          break;
        }
        const one = each(item)
          .then(
            () => void done[what]++,
            (error: Error & { cause?: unknown }) => {
              done.failed++;
              console.error({ alarm: "reconciler_failed", what, cause: `${error.message} ${error.cause ?? ""}` });
            },
          )
          .finally(() => running.delete(one));
        running.add(one);
        if (running.size >= AT_ONCE) await Promise.race(running);
      }
      await Promise.all(running);
    }

    const now = new Date();
    const { client } = settings.stripeKeyParameter ? await billing.connection() : { client: undefined };
    if (client)
      await work("events", await undelivered(now), (event) =>
        handleEvent(event, { billing, stripe: client, owner, log }),
      );
    await work("reviews", billing.rows.due(now), (userId) => billing.sync(userId));
    console.log({ reconciled: done });
    if (done.failed > 0) throw new Error(`${done.failed} of ${done.events + done.reviews + done.failed} failed`);
    return done;
  };
}
