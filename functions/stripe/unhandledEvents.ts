import type Stripe from "stripe";
import { webhookEvents } from "../../stripe/events";
import type { EventLog } from "../tables/eventLog";
import { fromStripe, stripeFailure } from "./client";
import { matters, parseEvent, type StripeEvent } from "./event";

/** Age limit of undelivered events. Stripe retries delivery for three days. */
const UNDELIVERED_MAX_AGE_SECONDS = 7 * 24 * 3600;
/**
 * Age limit of all other events. It covers several runs of the reconciler. If one run misses an event, a later run
 * finds it.
 */
const RECENT_MAX_AGE_SECONDS = 2 * 3600;
/** Stripe may still be delivering an event that is younger than this. */
const MIN_AGE_SECONDS = 60;
/** Limit of one lookup in the event log. */
const CHUNK_SIZE = 100;

/**
 * Finds events that can change a plan and that this stack never handled. Checks the events that Stripe could not
 * deliver, and all recent events. Recent events are needed because Stripe reports no failed delivery when no endpoint
 * was registered for the event.
 *
 * @param limits `most`: maximum number of events per run; the next run finds the remaining events. `hasTime`: whether
 *   there is time for another page
 * @returns events, oldest first. `complete` is false when time ran out before the end of the lists
 * @throws ApiError `unavailable` when Stripe or the event log does not answer
 */
export async function findUnhandledEvents(
  stripe: Stripe,
  log: Pick<EventLog, "find">,
  now: Date,
  { most, hasTime }: { most: number; hasTime: () => boolean },
): Promise<{ events: StripeEvent[]; complete: boolean }> {
  const seconds = Math.floor(now.getTime() / 1000);
  const created = (age: number) => ({ gte: seconds - age, lte: seconds - MIN_AGE_SECONDS });
  const shared = { types: [...webhookEvents], limit: CHUNK_SIZE };
  const lists = [
    { ...shared, delivery_success: false, created: created(UNDELIVERED_MAX_AGE_SECONDS) },
    { ...shared, created: created(RECENT_MAX_AGE_SECONDS) },
  ];
  const found = new Map<string, StripeEvent>();
  const isFull = () => found.size >= most;
  let complete = true;
  for (const list of lists) {
    for await (const events of inChunks(stripe.events.list(list))) {
      const handled = await log.find(events.map(({ id }) => id));
      for (const event of events) if (matters(event) && !handled.has(event.id)) found.set(event.id, event);
      complete &&= hasTime();
      if (isFull() || !complete) break;
    }
    if (isFull() || !complete) break;
  }
  return { events: [...found.values()].sort((one, other) => one.created - other.created), complete };
}

async function* inChunks(list: Stripe.ApiListPromise<Stripe.Event>): AsyncGenerator<StripeEvent[]> {
  await fromStripe("list", list);
  let chunk: StripeEvent[] = [];
  try {
    for await (const event of list) {
      chunk.push(...[parseEvent(event)].filter((one) => one !== undefined));
      if (chunk.length < CHUNK_SIZE) continue;
      yield chunk;
      chunk = [];
    }
  } catch (error) {
    throw stripeFailure(error);
  }
  yield chunk;
}
