import { Random, streams } from "../random";
import { anyMove, deletion, ownMove, purchase, type Step } from "./moves";
import { newCustomer, type StripeState } from "./stripeState";

/** An event as Stripe sends it. */
export interface StripeEvent {
  id: string;
  /** Unix seconds: many events share one. */
  created: number;
  /** Milliseconds since the epoch at which Stripe starts to deliver it. */
  sentAt: number;
  /** What an event says: the customer as of then. Real ones say less. */
  payload: StripeState;
}

/** Something that changed at Stripe. */
export interface Change {
  /** Milliseconds since the epoch. */
  at: number;
  customerId: string;
  state: StripeState;
  what: string;
  events: StripeEvent[];
}

/** The customer's browser makes us sync: it asks for a checkout, or comes back from one. */
interface Visit {
  /** Milliseconds since the epoch. */
  at: number;
  /** When the Checkout Session ends that it asks for. */
  sessionEndsAt?: number;
}

/** All that happens at Stripe in one run. It does not depend on who listens. */
export interface Story {
  /** Milliseconds since the epoch. */
  startsAt: number;
  changes: Change[];
  visits: Visit[];
  /** When everything must have been heard of. */
  endsAt: number;
}

const HOUR_MS = 3600_000;

/**
 * How long after the last change the row is looked at. Late deliveries take an hour and the reconciler a quarter of one,
 * so six hours are plenty for whoever handles events right. The daily review, which would heal most of what a weaker
 * strategy gets wrong, comes later: what counts as wrong here, a customer would have for a day.
 */
const SETTLED_AFTER_MS = 6 * HOUR_MS;

/** Makes up what a customer does: a checkout, in one burst of changes, and then this and that for up to some days. */
export function makeStory(seed: number): Story {
  const random = new Random(seed, streams.story);
  const startsAt = Date.UTC(2026, 0, 1) + random.int(0, 365 * 24) * HOUR_MS + random.int(0, HOUR_MS);
  const changes: Change[] = [];
  const visits: Visit[] = [];
  let at = startsAt;
  let customer = 1;
  let state: StripeState = newCustomer;

  const happen = ({ state: next, what }: Step, mostEvents: number): void => {
    state = next;
    const created = Math.floor(at / 1000);
    const events = Array.from({ length: random.int(1, mostEvents) }, () => ({
      id: `evt_${random
        .int(0, 36 ** 8)
        .toString(36)
        .padStart(8, "0")}`,
      created,
      sentAt: at + random.int(0, 300),
      payload: next,
    }));
    changes.push({ at, customerId: `cus_${customer}`, state, what, events });
  };
  /** Lets Stripe do by itself what comes due before `until`. */
  const wait = (until: number): void => {
    for (let own = ownMove(state, random); own && own.atSeconds * 1000 < until; own = ownMove(state, random)) {
      at = Math.max(at, own.atSeconds * 1000 + random.int(0, 60_000));
      happen(own, 3);
    }
    at = Math.max(at, until);
  };
  const burst = (count: number, mostEvents: number): void => {
    for (let index = 0; index < count; index += 1) {
      happen(anyMove(state, random, Math.floor(at / 1000)), mostEvents);
      wait(at + random.int(20, random.chance(0.7) ? 900 : 4_000));
    }
  };
  const checkout = (): void => {
    visits.push({ at, sessionEndsAt: at + HOUR_MS });
    wait(at + random.int(100, 120_000));
    happen(purchase(state, random, Math.floor(at / 1000)), 8);
    wait(at + random.int(20, 900));
    burst(random.int(1, 4), 8);
    for (let count = random.int(0, 2); count > 0; count -= 1) visits.push({ at: at + random.int(0, 3_000) });
  };

  checkout();
  for (let later = random.pick([0, 0, 1, 1, 2, 3]); later > 0; later -= 1) {
    wait(at + Math.round(HOUR_MS * random.pick([0.2, 1, 3, 12, 30]) * random.between(0.5, 1.5)));
    if (!random.chance(0.05)) burst(random.int(1, 3), 4);
    else {
      happen(deletion(state), 4);
      wait(at + random.int(1_000, 2 * HOUR_MS));
      customer += 1;
      state = newCustomer;
      checkout();
    }
  }
  const last = changes.at(-1)?.at ?? at;
  return { startsAt, changes, visits, endsAt: last + SETTLED_AFTER_MS };
}
