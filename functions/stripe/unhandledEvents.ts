import type Stripe from "stripe";
import { webhookEvents } from "../../stripe/events";
import type { EventLog } from "../tables/eventLog";
import { fromStripe, stripeFailure } from "./client";
import { parseEvent, type StripeEvent } from "./event";

/** Stripe delivers events for three days. */
const FAILED_SECONDS = 7 * 24 * 3600;
/** A few runs back: what one run leaves, the next finds. */
const RECENT_SECONDS = 2 * 3600;
/** What is younger is being delivered at this moment. */
const YOUNGEST_SECONDS = 60;
/** One look into the log takes no more. */
const AT_ONCE = 100;

/**
 * Events that can change a plan and that nothing is known of here: those that Stripe could not deliver, and the latest of
 * all, since Stripe says nothing of failure where there was no endpoint to fail.
 *
 * @param most how many are looked for; the rest is found by the next run
 * @returns oldest first
 * @throws ApiError `unavailable` when Stripe or the log does not answer
 */
export async function findUnhandledEvents(
  stripe: Stripe,
  log: Pick<EventLog, "find">,
  now: Date,
  most: number,
): Promise<StripeEvent[]> {
  const seconds = Math.floor(now.getTime() / 1000);
  const created = (age: number) => ({ gte: seconds - age, lte: seconds - YOUNGEST_SECONDS });
  const shared = { types: [...webhookEvents], limit: AT_ONCE };
  const lists = [
    { ...shared, delivery_success: false, created: created(FAILED_SECONDS) },
    { ...shared, created: created(RECENT_SECONDS) },
  ];
  const found = new Map<string, StripeEvent>();
  for (const list of lists) {
    for await (const events of inChunks(stripe.events.list(list))) {
      const handled = await log.find(events.map(({ id }) => id));
      for (const event of events) if (!handled.has(event.id)) found.set(event.id, event);
      if (found.size >= most) break;
    }
  }
  return [...found.values()].sort((one, other) => one.created - other.created);
}

async function* inChunks(list: Stripe.ApiListPromise<Stripe.Event>): AsyncGenerator<StripeEvent[]> {
  await fromStripe("list", list);
  let chunk: StripeEvent[] = [];
  try {
    for await (const event of list) {
      chunk.push(...[parseEvent(event)].filter((one) => one !== undefined));
      if (chunk.length < AT_ONCE) continue;
      yield chunk;
      chunk = [];
    }
  } catch (error) {
    throw stripeFailure(error);
  }
  yield chunk;
}
