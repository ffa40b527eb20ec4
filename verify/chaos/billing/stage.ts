import { Random, streams } from "../random";
import { Invocation, TIMEOUT_MS, Unavailable } from "./invocation";
import { isWithin, makeOutage, type Outaged } from "./outage";
import { createReconciler } from "./reconciler";
import { Row } from "./rows";
import type { Change, Story, StripeEvent } from "./story";
import type { Scene, Strategy } from "./strategies";
import { newCustomer, type StripeState } from "./stripeState";
import { VirtualTime } from "./virtualTime";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** What goes wrong between Stripe and us. */
const DUPLICATES = 0.1;
const LATE = 0.08;
const LATE_MS = HOUR_MS;
/** Deliveries that Stripe gives up, and lists as undelivered. */
const LOST = 0.03;
/** Stripe does not see the 200. */
const ANSWER_LOST = 0.02;

/** Waits before Stripe delivers again, for up to three days. Stripe says "exponential"; the numbers are ours. */
const BACKOFF_MS = [5, 30, 120, 300, 600, 720, 720, 720, 720].map((minutes) => minutes * MINUTE_MS);
const RETRIES_MS = 72 * HOUR_MS;

const RECONCILER_EVERY_MS = 15 * MINUTE_MS;

/** How a story went for one strategy. */
export interface Played {
  row: Row;
  /** What Stripe has of the row's customer in the end. */
  truth: StripeState;
}

/** How a story is played. */
export interface StageOptions {
  /** False: nobody looks for what was lost, or for deadlines. */
  reconciler: boolean;
  /** Told what happens, in order. */
  trace?: (line: string) => void;
}

/**
 * Plays a story to a strategy: events are delivered late, twice or never, functions fail half way, services have outages.
 * The same seed gives each strategy the same deliveries, and each delivery the same luck.
 */
export async function play(
  story: Story,
  seed: number,
  choose: (scene: Scene) => Strategy,
  { reconciler: isReconciled, trace }: StageOptions,
): Promise<Played> {
  const time = new VirtualTime(story.startsAt);
  const row = new Row("user-1", "cus_1");
  const states = new Map<string, StripeState>();
  const stripe = (customerId: string) => states.get(customerId) ?? newCustomer;
  const strategy = choose({ row, stripe, now: () => new Date(time.now) });
  const { refresh } = strategy;
  const outage = makeOutage(story, seed);
  const isDown = (what: Outaged) => isWithin(outage, what, time.now);
  if (outage)
    trace?.(`outage: ${outage.what} ${new Date(outage.from).toISOString()} ${new Date(outage.to).toISOString()}`);
  const tell = (what: () => string) => trace?.(`${new Date(time.now).toISOString()}  ${what()}`);
  const undelivered = new Set<StripeEvent>();
  const handled = new Set<StripeEvent>();

  /** Runs a function; `done` is told whether it came to its end. */
  function invoke(
    name: string,
    timeoutMs: number,
    random: Random,
    work: (invocation: Invocation) => Promise<void>,
    done: (success: boolean) => void = () => {},
  ): void {
    tell(() => `${name} starts`);
    new Invocation({ time, random, isDown, timeoutMs }).start(work, (success) => {
      tell(() => `${name} ${success ? "ends" : "fails"}`);
      done(success);
    });
  }

  /** What every event leads to. That it was handled is noted where possible: the reconciler leaves it out then. */
  async function handle(event: StripeEvent, invocation: Invocation): Promise<void> {
    await strategy.handle(event, invocation);
    await invocation
      .table(() => handled.add(event))
      .catch((error: unknown) => {
        if (!(error instanceof Unavailable)) throw error;
      });
  }

  function deliver(event: StripeEvent, keys: number[], attempt: number): void {
    const random = new Random(seed, streams.attempt, ...keys, attempt);
    const finish = (success: boolean): void => {
      if (success && !random.chance(ANSWER_LOST)) {
        undelivered.delete(event);
        return;
      }
      const again = time.now + (BACKOFF_MS[attempt] ?? Infinity) * random.between(0.8, 1.2);
      if (again < event.sentAt + RETRIES_MS) time.at(again, () => deliver(event, keys, attempt + 1));
    };
    if (isDown("endpoint")) finish(false);
    else invoke(event.id, TIMEOUT_MS.webhook, random, (invocation) => handle(event, invocation), finish);
  }

  function send(event: StripeEvent, keys: number[]): void {
    undelivered.add(event);
    const random = new Random(seed, streams.delivery, ...keys);
    const isLost = random.chance(LOST) || (outage?.givesUp && isWithin(outage, "endpoint", event.sentAt));
    if (isLost) return;
    for (let copies = random.chance(DUPLICATES) ? 2 : 1; copies > 0; copies -= 1) {
      const delay = random.between(50, 1_500) + (random.chance(LATE) ? random.between(0, LATE_MS) : 0);
      time.at(event.sentAt + delay, () => deliver(event, [...keys, copies], 0));
    }
  }

  function happen({ customerId, state, what, events }: Change, index: number): void {
    if (row.customer.stripe_customer_id !== customerId) row.link(customerId);
    states.set(customerId, state);
    tell(() => `${customerId}: ${what} (${events.map(({ id }) => id).join(" ")})`);
    for (const [number, event] of events.entries()) send(event, [index, number]);
  }

  for (const [index, change] of story.changes.entries()) time.at(change.at, () => happen(change, index));
  if (refresh) {
    for (const [index, { at, sessionEndsAt }] of story.visits.entries()) {
      const options = sessionEndsAt ? { reviewBy: new Date(sessionEndsAt) } : {};
      const name = sessionEndsAt ? "checkout" : "return from Checkout";
      const random = new Random(seed, streams.visit, index);
      time.at(at, () => invoke(name, TIMEOUT_MS.visit, random, (invocation) => refresh(invocation, options)));
    }
  }
  if (isReconciled) {
    const reconciler = createReconciler({ time, row, undelivered, handled, handle, refresh });
    const tick = (number: number): void => {
      time.at(time.now + RECONCILER_EVERY_MS, () => tick(number + 1));
      if (!reconciler.hasWork()) return;
      const random = new Random(seed, streams.reconciler, number);
      invoke("reconciler", TIMEOUT_MS.reconciler, random, (invocation) => reconciler.run(invocation));
    };
    tick(0);
  }

  await time.runUntil(story.endsAt);
  return { row, truth: stripe(row.customer.stripe_customer_id ?? "") };
}
