import Stripe from "stripe";
import { StateStore } from "../support/stateStore";
import { newId } from "./ids";
import { missing } from "./problem";
import { emptyState, type Kind, type Objects, type State } from "./state";

/** The request that caused an event. */
export interface Cause {
  id: string | null;
  idempotencyKey: string | null;
}

/** The account's objects, time and events. */
export class Ledger {
  /** The request that causes the current changes. Its fields are null for changes that Stripe starts itself. */
  cause: Cause = { id: null, idempotencyKey: null };
  private readonly store: StateStore<State>;
  private readonly listeners = new Set<(event: Stripe.Event) => void>();
  private standsAt: number | undefined;

  constructor(path: string) {
    this.store = new StateStore(path, emptyState());
  }

  /** The current state, read-only. Change the state with `put`, `remove` and `set`. */
  get state(): State {
    return this.store.data;
  }

  /**
   * Unix seconds of a customer's test clock, or of the account's clock when the customer has no test clock. While `at`
   * runs an action, returns the simulated moment.
   */
  now(customer?: string): number {
    if (this.standsAt !== undefined) return this.standsAt;
    const own = customer && this.ownClock(customer);
    return own ? own.frozen_time : Math.floor(Date.now() / 1000) + this.state.counters.aheadSeconds;
  }

  /** The customer's test clock; undefined when the customer uses the account's clock. */
  ownClock(customer: string): Stripe.TestHelpers.TestClock | undefined {
    const found = this.find("customer", customer);
    const id = found && !found.deleted ? found.test_clock : undefined;
    return typeof id === "string" && id !== DEFAULT_CLOCK ? this.find("test_helpers.test_clock", id) : undefined;
  }

  /** Runs an action at a simulated moment. */
  at<T>(moment: number, act: () => T): T {
    const before = this.standsAt;
    this.standsAt = moment;
    try {
      return act();
    } finally {
      this.standsAt = before;
    }
  }

  find<K extends Kind>(kind: K, id: string): Objects[K] | undefined {
    return (this.state[kind] as Record<string, Objects[K]>)[id];
  }

  /** Returns an object. Throws StripeProblem when it does not exist; `param` names the request's parameter. */
  get<K extends Kind>(kind: K, id: string, param = "id"): Objects[K] {
    const found = this.find(kind, id);
    if (found === undefined) throw missing(kind.replace(/^.*\./, ""), id, param);
    return found;
  }

  /** Objects of a kind, oldest first. */
  all<K extends Kind>(kind: K): Objects[K][] {
    return Object.values(this.state[kind]);
  }

  put<K extends Kind>(kind: K, object: Objects[K]): Objects[K] {
    (this.state[kind] as Record<string, Objects[K]>)[object.id] = object;
    this.store.save(kind, object.id);
    return object;
  }

  remove(kind: Kind, id: string): void {
    delete this.state[kind][id];
    this.store.save(kind, id);
  }

  /** Sets a value that belongs to an object but is not a field of Stripe's object. Undefined removes the value. */
  set<K extends Exclude<keyof State, Kind>>(
    table: K,
    id: string & keyof State[K],
    value: State[K][string & keyof State[K]] | undefined,
  ): void {
    if (value === undefined) delete this.state[table][id];
    else this.state[table][id] = value;
    this.store.save(table, id);
  }

  /** Saves pending changes and closes the file. */
  close(): void {
    this.store.close();
  }

  /** Changes fields of an object and emits one event for each of `types`. */
  change<K extends Kind>(kind: K, id: string, changes: Partial<Objects[K]>, ...types: string[]): Objects[K] {
    const before = this.get(kind, id);
    const after = this.put(kind, { ...before, ...changes });
    for (const type of types) this.emit(type, after, type.endsWith(".updated") ? difference(before, after) : undefined);
    return after;
  }

  /** Records an event and passes it to every listener. */
  emit(type: string, object: { id: string }, previous?: Record<string, unknown>): Stripe.Event {
    const { customer } = object as { customer?: unknown };
    const created = this.now(typeof customer === "string" ? customer : undefined);
    const audience = this.all("webhook_endpoint").filter(
      ({ status, enabled_events }) =>
        status === "enabled" && (enabled_events.includes("*") || enabled_events.includes(type)),
    );
    const event = {
      id: newId("evt"),
      object: "event",
      api_version: Stripe.API_VERSION,
      created,
      data: { object: structuredClone(object), ...(previous && { previous_attributes: previous }) },
      livemode: false,
      pending_webhooks: audience.length,
      request: { id: this.cause.id, idempotency_key: this.cause.idempotencyKey },
      type,
    } as unknown as Stripe.Event;
    this.set(
      "audiences",
      event.id,
      audience.map(({ id }) => id),
    );
    this.put("event", event);
    for (const listener of this.listeners) listener(event);
    return event;
  }

  /** Calls `listener` with each new event. Returns the unsubscribe function. */
  onEvent(listener: (event: Stripe.Event) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

/**
 * Id of the default clock, for all customers without a test clock. Stripe has no such clock. It follows the wall clock
 * and can be advanced, for example to the end of a period.
 */
export const DEFAULT_CLOCK = "clock_1DoubleDefault0000000000";

/** Previous values of the changed attributes. */
function difference(before: object, after: object): Record<string, unknown> {
  const entries = Object.entries(before).filter(
    ([key, value]) => JSON.stringify(value) !== JSON.stringify((after as Record<string, unknown>)[key]),
  );
  return structuredClone(Object.fromEntries(entries));
}
