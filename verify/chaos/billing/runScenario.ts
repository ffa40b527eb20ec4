import { eventLimits } from "../../../functions/core/eventLimits";
import { Random, streams } from "../random";
import { Invocation, TIMEOUT_MS, Unavailable } from "./invocation";
import { isWithin, makeOutage, type Outage, type OutageTarget } from "./outage";
import { createReconciler } from "./reconciler";
import { Row } from "./row";
import type { Change, Scenario, StripeEvent } from "./scenario";
import type { Environment, Strategy } from "./strategies";
import { newCustomer, type StripeState } from "./stripeState";
import { VirtualTime } from "./virtualTime";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** Probabilities of each failure between Stripe and the webhook. */
const DUPLICATE_PROBABILITY = 0.1;
const LATE_PROBABILITY = 0.08;
const MAX_DELAY_MS = HOUR_MS;
/** Probability that Stripe stops retrying an event and lists it as undelivered. */
const LOST_PROBABILITY = 0.03;
/** Probability that somebody replays a delivery while its signature is valid, and the maximum number of copies. */
const REPLAY_PROBABILITY = 0.02;
const MAX_REPLAYS = 60;
const REPLAYED_WITHIN_MS = 5 * MINUTE_MS;
/** Probability that Stripe does not receive the webhook's 200. */
const ANSWER_LOST_PROBABILITY = 0.02;

/**
 * Delays between the deliveries of one event, for up to three days. The numbers are assumptions, because Stripe
 * documents only "exponential".
 */
const BACKOFF_MS = [5, 30, 120, 300, 600, 720, 720, 720, 720].map((minutes) => minutes * MINUTE_MS);
const RETRIES_MS = 72 * HOUR_MS;

const RECONCILER_EVERY_MS = 15 * MINUTE_MS;

/** Final states after a scenario. */
export interface ScenarioResult {
  row: Row;
  /** State of the row's customer at Stripe. */
  stripe: StripeState;
}

interface RunOptions {
  /** False disables the reconciler. Then nothing repairs the row after lost events or passed deadlines. */
  reconciler: boolean;
  /** Called with one line for each step of the run, such as a change at Stripe or the end of a function. */
  trace?: (line: string) => void;
}

/**
 * Runs a scenario with one strategy. Events arrive late, twice or never, functions crash before they finish, and
 * services have outages. With the same seed, every strategy gets the same deliveries and the same failures.
 */
export async function runScenario(
  scenario: Scenario,
  seed: number,
  createStrategy: (environment: Environment) => Strategy,
  { reconciler, trace }: RunOptions,
): Promise<ScenarioResult> {
  const run = new ScenarioRun(scenario, seed, createStrategy, trace);
  run.scheduleChanges();
  run.scheduleVisits();
  if (reconciler) run.scheduleReconciler();
  return run.finish();
}

class ScenarioRun {
  private readonly time: VirtualTime;
  private readonly row = new Row("user-1", "cus_1");
  private readonly states = new Map<string, StripeState>();
  private readonly strategy: Strategy;
  private readonly outage: Outage | undefined;
  private readonly undelivered = new Set<StripeEvent>();
  private readonly handled = new Set<StripeEvent>();
  /** For each event: the current time window of the webhook's limit, and the number of deliveries counted in it. */
  private readonly deliveries = new Map<StripeEvent, { window: number; uses: number }>();

  constructor(
    private readonly scenario: Scenario,
    private readonly seed: number,
    createStrategy: (environment: Environment) => Strategy,
    private readonly trace: ((line: string) => void) | undefined,
  ) {
    this.time = new VirtualTime(scenario.startsAt);
    this.strategy = createStrategy({ row: this.row, stripe: this.stripe, now: () => new Date(this.time.now) });
    const outage = makeOutage(scenario, seed);
    this.outage = outage;
    if (outage) {
      trace?.(`outage: ${outage.target} ${new Date(outage.from).toISOString()} ${new Date(outage.to).toISOString()}`);
    }
  }

  scheduleChanges(): void {
    for (const [index, change] of this.scenario.changes.entries()) {
      this.time.at(change.at, () => this.applyChange(change, index));
    }
  }

  scheduleVisits(): void {
    const { refresh } = this.strategy;
    if (!refresh) return;
    for (const [index, { at, sessionEndsAt }] of this.scenario.visits.entries()) {
      const options = sessionEndsAt ? { reviewBy: new Date(sessionEndsAt) } : {};
      const name = sessionEndsAt ? "checkout" : "return from Checkout";
      const random = new Random(this.seed, streams.visit, index);
      const work = (invocation: Invocation) => refresh(invocation, options);
      this.time.at(at, () => this.invoke(name, TIMEOUT_MS.visit, random, work));
    }
  }

  scheduleReconciler(): void {
    const { time, row, undelivered, handled } = this;
    const reconciler = createReconciler({
      ...{ time, row, undelivered, handled, refresh: this.strategy.refresh },
      handle: (event, invocation) => this.handle(event, invocation),
    });
    const tick = (number: number): void => {
      time.at(time.now + RECONCILER_EVERY_MS, () => tick(number + 1));
      if (!reconciler.hasWork()) return;
      const random = new Random(this.seed, streams.reconciler, number);
      this.invoke("reconciler", TIMEOUT_MS.reconciler, random, (invocation) => reconciler.run(invocation));
    };
    tick(0);
  }

  async finish(): Promise<ScenarioResult> {
    await this.time.runUntil(this.scenario.endsAt);
    return { row: this.row, stripe: this.stripe(this.row.customer.stripe_customer_id ?? "") };
  }

  private readonly stripe = (customerId: string) => this.states.get(customerId) ?? newCustomer;
  private readonly isDown = (target: OutageTarget) => isWithin(this.outage, target, this.time.now);

  private applyChange({ customerId, state, description, events }: Change, index: number): void {
    if (this.row.customer.stripe_customer_id !== customerId) this.row.link(customerId);
    this.states.set(customerId, state);
    this.log(() => `${customerId}: ${description} (${events.map(({ id }) => id).join(" ")})`);
    for (const [number, event] of events.entries()) this.send(event, [index, number]);
  }

  private send(event: StripeEvent, keys: number[]): void {
    this.undelivered.add(event);
    const random = new Random(this.seed, streams.delivery, ...keys);
    const isLost =
      random.chance(LOST_PROBABILITY) || (this.outage?.givesUp && isWithin(this.outage, "endpoint", event.sentAt));
    if (isLost) return;
    const replayed = random.chance(REPLAY_PROBABILITY) ? random.int(1, MAX_REPLAYS) : 0;
    for (let copy = 1; copy <= replayed; copy += 1) {
      const delay = random.between(0, REPLAYED_WITHIN_MS);
      this.time.at(event.sentAt + delay, () => this.deliver(event, [...keys, -copy], BACKOFF_MS.length));
    }
    for (let copies = random.chance(DUPLICATE_PROBABILITY) ? 2 : 1; copies > 0; copies -= 1) {
      const late = random.between(50, 1_500);
      const delay = late + (random.chance(LATE_PROBABILITY) ? random.between(0, MAX_DELAY_MS) : 0);
      this.time.at(event.sentAt + delay, () => this.deliver(event, [...keys, copies], 0));
    }
  }

  private deliver(event: StripeEvent, keys: number[], attempt: number): void {
    const random = new Random(this.seed, streams.attempt, ...keys, attempt);
    const finish = (success: boolean): void => {
      if (success && !random.chance(ANSWER_LOST_PROBABILITY)) {
        this.undelivered.delete(event);
        return;
      }
      const nextAt = this.time.now + (BACKOFF_MS[attempt] ?? Infinity) * random.between(0.8, 1.2);
      if (nextAt < event.sentAt + RETRIES_MS) this.time.at(nextAt, () => this.deliver(event, keys, attempt + 1));
    };
    if (this.isDown("endpoint") || !this.count(event)) finish(false);
    else this.invoke(event.id, TIMEOUT_MS.webhook, random, (invocation) => this.handle(event, invocation), finish);
  }

  /** Counts a delivery as the webhook does. Returns false when replays have used up the limit of this time window. */
  private count(event: StripeEvent): boolean {
    const { limit, windowSeconds } = eventLimits.perEvent;
    const window = Math.floor(this.time.now / 1000 / windowSeconds);
    const known = this.deliveries.get(event);
    const uses = known?.window === window ? known.uses : 0;
    if (uses >= limit) return false;
    this.deliveries.set(event, { window, uses: uses + 1 });
    return true;
  }

  /** Handles an event and records it in the event log. The reconciler skips recorded events. */
  private async handle(event: StripeEvent, invocation: Invocation): Promise<void> {
    await this.strategy.handle(event, invocation);
    await invocation
      .table(() => this.handled.add(event))
      .catch((error: unknown) => {
        if (!(error instanceof Unavailable)) throw error;
      });
  }

  /** Starts a function. When it ends, `done` gets true if the function returned, and false otherwise. */
  private invoke(
    name: string,
    timeoutMs: number,
    random: Random,
    work: (invocation: Invocation) => Promise<void>,
    done: (success: boolean) => void = () => {},
  ): void {
    const { time, isDown } = this;
    this.log(() => `${name} starts`);
    new Invocation({ time, random, isDown, timeoutMs }).start(work, (success) => {
      this.log(() => `${name} ${success ? "ends" : "fails"}`);
      done(success);
    });
  }

  private log(text: () => string): void {
    this.trace?.(`${new Date(this.time.now).toISOString()}  ${text()}`);
  }
}
