import { Random, streams } from "../random";
import { newCustomer, type StripeState } from "./stripeState";
import { deletion, nextScheduledChange, purchase, randomChange, type StateChange } from "./transitions";

/** An event that Stripe sends. */
export interface StripeEvent {
  id: string;
  /** Unix seconds. Many events are created in the same second. */
  created: number;
  /** Time at which Stripe first delivers the event, in milliseconds since the epoch. */
  sentAt: number;
  /** Connected account that the event is about; undefined for an event about the customer. */
  account?: string;
  /** State of the customer when the event was created. A real event contains only a part of this state. */
  payload: StripeState;
}

/** One change at Stripe, and the events that the change causes. */
export interface Change {
  /** Milliseconds since the epoch. */
  at: number;
  customerId: string;
  state: StripeState;
  description: string;
  events: StripeEvent[];
}

/**
 * A request from the customer's browser that causes a sync: the start of a checkout, or the return from Stripe's page.
 */
interface Visit {
  /** Milliseconds since the epoch. */
  at: number;
  /** End of the Checkout Session that the request creates, in milliseconds since the epoch. */
  sessionEndsAt?: number;
}

/** Everything that happens at Stripe in one run. Every strategy gets the same scenario. */
export interface Scenario {
  /** Milliseconds since the epoch. */
  startsAt: number;
  changes: Change[];
  visits: Visit[];
  /** Time of the comparison with Stripe, in milliseconds since the epoch. */
  endsAt: number;
}

const HOUR_MS = 3600_000;
/** Probability that a change also causes an event about a connected account. */
const CONNECTED_PROBABILITY = 0.03;

/**
 * Time between the last change and the comparison. The time is long enough for a correct strategy: late deliveries take
 * up to one hour, and the reconciler runs every 15 minutes. The time is shorter than a day, because the daily review
 * repairs most errors of the weaker strategies. After that review, the comparison would miss rows that were wrong for
 * hours.
 */
const COMPARED_AFTER_MS = 6 * HOUR_MS;

/** Generates the life of one customer: a checkout with a burst of changes, then up to three more bursts within days. */
export function makeScenario(seed: number): Scenario {
  const random = new Random(seed, streams.scenario);
  const startsAt = Date.UTC(2026, 0, 1) + random.int(0, 365 * 24) * HOUR_MS + random.int(0, HOUR_MS);
  const changes: Change[] = [];
  const visits: Visit[] = [];
  let at = startsAt;
  let customer = 1;
  let state: StripeState = newCustomer;

  const addChange = ({ state: next, description }: StateChange, maxEvents: number): void => {
    state = next;
    const created = Math.floor(at / 1000);
    const event = (payload: StripeState) => ({
      id: `evt_${random
        .int(0, 36 ** 8)
        .toString(36)
        .padStart(8, "0")}`,
      created,
      sentAt: at + random.int(0, 300),
      payload,
    });
    const events: StripeEvent[] = Array.from({ length: random.int(1, maxEvents) }, () => event(next));
    if (random.chance(CONNECTED_PROBABILITY)) events.push({ ...event(newCustomer), account: "acct_1" });
    changes.push({ at, customerId: `cus_${customer}`, state, description, events });
  };
  /** Advances the time to `until`. First applies the changes that Stripe has scheduled before that time. */
  const waitUntil = (until: number): void => {
    for (;;) {
      const next = nextScheduledChange(state, random);
      if (!next || next.atSeconds * 1000 >= until) break;
      at = Math.max(at, next.atSeconds * 1000 + random.int(0, 60_000));
      addChange(next, 3);
    }
    at = Math.max(at, until);
  };
  const burst = (count: number, maxEvents: number): void => {
    for (let index = 0; index < count; index += 1) {
      addChange(randomChange(state, random, Math.floor(at / 1000)), maxEvents);
      waitUntil(at + random.int(20, random.chance(0.7) ? 900 : 4_000));
    }
  };
  const checkout = (): void => {
    visits.push({ at, sessionEndsAt: at + HOUR_MS });
    waitUntil(at + random.int(100, 120_000));
    addChange(purchase(state, random, Math.floor(at / 1000)), 8);
    waitUntil(at + random.int(20, 900));
    burst(random.int(1, 4), 8);
    for (let count = random.int(0, 2); count > 0; count -= 1) visits.push({ at: at + random.int(0, 3_000) });
  };

  checkout();
  for (let later = random.pick([0, 0, 1, 1, 2, 3]); later > 0; later -= 1) {
    waitUntil(at + Math.round(HOUR_MS * random.pick([0.2, 1, 3, 12, 30]) * random.between(0.5, 1.5)));
    if (!random.chance(0.05)) burst(random.int(1, 3), 4);
    else {
      addChange(deletion(state), 4);
      waitUntil(at + random.int(1_000, 2 * HOUR_MS));
      customer += 1;
      state = newCustomer;
      checkout();
    }
  }
  const last = changes.at(-1)?.at ?? at;
  return { startsAt, changes, visits, endsAt: last + COMPARED_AFTER_MS };
}
