import { isLive } from "../../../functions/core/entitlement";
import type { Random } from "../random";
import type { StripeState, Subscription } from "./stripeState";

/** Prices of the simulated policy, and one price that the policy does not contain. */
export const prices = {
  paid: ["price_paid", "price_paid_2025"],
  vip: ["price_vip"],
  unknown: "price_unknown",
};

const HOUR_SECONDS = 3600;
const DAY_SECONDS = 24 * HOUR_SECONDS;

/** A possible change of one subscription. */
interface Transition {
  name: string;
  /** Statuses in which the change is possible. */
  from: readonly string[];
  /** Relative probability. */
  weight: number;
  change: (subscription: Subscription, random: Random, nowSeconds: number) => Partial<Subscription>;
}

const paying = ["active", "trialing", "past_due"] as const;

const transitions: readonly Transition[] = [
  { name: "is paid", from: ["incomplete"], weight: 30, change: paid },
  { name: "is paid", from: ["past_due", "unpaid"], weight: 6, change: paid },
  {
    name: "first payment is declined, and the next checkout cancels the subscription",
    from: ["incomplete"],
    weight: 4,
    change: () => ({ status: "canceled" }),
  },
  { name: "expires unpaid", from: ["incomplete"], weight: 2, change: () => ({ status: "incomplete_expired" }) },
  { name: "payment attempt fails", from: ["incomplete", "past_due"], weight: 3, change: () => ({}) },
  {
    name: "trial ends, payment succeeds",
    from: ["trialing"],
    weight: 3,
    change: renewedNow,
  },
  { name: "trial ends, payment fails", from: ["trialing"], weight: 3, change: (one, _, now) => unpaid(one, now) },
  { name: "renewal succeeds", from: ["active"], weight: 3, change: renewedNow },
  { name: "renewal fails", from: ["active"], weight: 4, change: (one, _, now) => unpaid(one, now) },
  { name: "another renewal fails", from: ["past_due"], weight: 2, change: (one, _, now) => unpaid(one, now) },
  {
    name: "oldest invoice is paid",
    from: ["past_due"],
    weight: 2,
    change: (one, random, now) =>
      one.open_invoices.length > 1 ? { open_invoices: one.open_invoices.slice(1) } : paid(one, random, now),
  },
  {
    name: "becomes unpaid after the last attempt",
    from: ["past_due"],
    weight: 3,
    change: () => ({ status: "unpaid" }),
  },
  { name: "is canceled", from: [...paying, "unpaid", "paused"], weight: 3, change: () => ({ status: "canceled" }) },
  {
    name: "cancellation is scheduled with cancel_at",
    from: paying,
    weight: 4,
    change: ({ period_end }, random, now) => ({
      cancel_at: random.chance(0.6) && period_end ? period_end : now + random.int(HOUR_SECONDS, 3 * DAY_SECONDS),
    }),
  },
  {
    name: "cancellation is scheduled with cancel_at_period_end",
    from: paying,
    weight: 3,
    change: ({ period_end }, random) => ({
      cancel_at_period_end: true,
      cancel_at: random.chance(0.5) ? period_end : null,
    }),
  },
  {
    name: "cancellation is withdrawn",
    from: paying,
    weight: 3,
    change: () => ({ cancel_at: null, cancel_at_period_end: false }),
  },
  {
    name: "changes price, charged at the next renewal",
    from: paying,
    weight: 2,
    change: (_, random) => ({ price_ids: pricesOf(random) }),
  },
  {
    name: "changes price, payment succeeds",
    from: ["active"],
    weight: 4,
    change: (one, random, now) => renewedNow({ ...one, price_ids: pricesOf(random) }, random, now),
  },
  {
    name: "changes price, payment fails",
    from: ["active"],
    weight: 4,
    change: (one, random, now) => unpaid({ ...one, price_ids: pricesOf(random) }, now),
  },
  {
    name: "collection is paused or resumed",
    from: ["active", "past_due"],
    weight: 3,
    change: ({ collection_paused }) => ({ collection_paused: !collection_paused }),
  },
  { name: "is paused", from: ["active", "trialing"], weight: 2, change: () => ({ status: "paused" }) },
  { name: "is resumed", from: ["paused"], weight: 6, change: renewedNow },
  {
    name: "gets a status that Stripe may add later",
    from: ["active"],
    weight: 1,
    change: () => ({ status: "on_hold" }),
  },
  { name: "is active again", from: ["on_hold"], weight: 6, change: paid },
];

/** A new state and a description of the change that led to it. */
export interface StateChange {
  state: StripeState;
  description: string;
}

/** A random change of a customer. */
export function randomChange(state: StripeState, random: Random, nowSeconds: number): StateChange {
  const live = state.subscriptions.filter(isLive);
  if (live.length === 0 ? random.chance(0.7) : random.chance(live.length > 1 ? 0.01 : 0.05)) {
    return purchase(state, random, nowSeconds);
  }
  if (state.subscriptions.length > 0 && random.chance(0.12)) return disputeChange(state, random, nowSeconds);
  if (live.length === 0) return { state, description: "no relevant change" };

  const subscription = random.pick(live);
  const possible = transitions.filter(({ from }) => from.includes(subscription.status));
  let remaining = random.next() * possible.reduce((sum, { weight }) => sum + weight, 0);
  const transition = possible.find(({ weight }) => {
    remaining -= weight;
    return remaining < 0;
  });
  const change = transition?.change(subscription, random, nowSeconds) ?? {};
  return { state: changed(state, subscription.id, change), description: `${subscription.id} ${transition?.name}` };
}

/** Creates a subscription, even when the customer already has one. */
export function purchase(state: StripeState, random: Random, nowSeconds: number): StateChange {
  const status = random.pick(["incomplete", "incomplete", "incomplete", "active", "trialing"]);
  // Subscriptions with a daily or weekly price renew within a scenario. Monthly subscriptions do not.
  const period_seconds = random.pick([DAY_SECONDS, 7 * DAY_SECONDS, 30 * DAY_SECONDS]);
  const id = `sub_${random.int(0, 36 ** 6).toString(36)}`;
  const subscription: Subscription = {
    id,
    status,
    created: nowSeconds,
    price_ids: pricesOf(random),
    period_start: nowSeconds,
    period_end: nowSeconds + period_seconds,
    trial_end: status === "trialing" ? nowSeconds + period_seconds : null,
    cancel_at: null,
    cancel_at_period_end: false,
    collection_paused: false,
    open_invoices: status === "incomplete" ? [{ created: nowSeconds }] : [],
    paid: [],
    period_seconds,
  };
  const created = status === "active" ? { ...subscription, ...paid(subscription, random, nowSeconds) } : subscription;
  return {
    state: { ...state, subscriptions: [created, ...state.subscriptions] },
    description: `${id} is created, ${status}`,
  };
}

/** Deletes the customer and cancels their live subscriptions. */
export function deletion(state: StripeState): StateChange {
  const subscriptions = state.subscriptions.map((one) => (isLive(one) ? { ...one, status: "canceled" } : one));
  return { state: { ...state, subscriptions, deleted: true }, description: "the customer is deleted" };
}

/** The next change that Stripe makes by schedule: the end of a period, or a scheduled cancellation. */
export function nextScheduledChange(
  state: StripeState,
  random: Random,
): (StateChange & { atSeconds: number }) | undefined {
  const next = state.subscriptions
    .filter(({ status }) => status === "active" || status === "trialing" || status === "past_due")
    .map((one) => ({ one, atSeconds: Math.min(cancelTime(one), one.period_end ?? Infinity) }))
    .toSorted((a, b) => a.atSeconds - b.atSeconds)[0];
  if (!next) return undefined;
  const { one, atSeconds } = next;
  if (cancelTime(one) <= atSeconds) {
    return {
      atSeconds,
      state: changed(state, one.id, { status: "canceled" }),
      description: `${one.id} is canceled as scheduled`,
    };
  }
  // Stripe starts the new period some time before the payment. In the simulation, the payment succeeds or fails
  // immediately.
  const isPaid = one.status !== "past_due" && random.chance(0.7);
  const change = isPaid ? renewedNow(one, random, atSeconds) : unpaid(one, atSeconds);
  return {
    atSeconds,
    state: changed(state, one.id, change),
    description: `${one.id} renews ${isPaid ? "paid" : "unpaid"}`,
  };
}

function disputeChange(state: StripeState, random: Random, nowSeconds: number): StateChange {
  const open = state.disputes.find(({ status }) => status.endsWith("needs_response"));
  if (!open) {
    const status = random.pick(["needs_response", "needs_response", "warning_needs_response"]);
    const dispute = { id: `du_${random.int(0, 36 ** 6).toString(36)}`, status, created: nowSeconds };
    return {
      state: { ...state, disputes: [...state.disputes, dispute] },
      description: `a dispute is created, ${status}`,
    };
  }
  const status = random.pick(open.status === "needs_response" ? ["won", "lost"] : ["warning_closed", "needs_response"]);
  const disputes = state.disputes.map((one) => (one === open ? { ...one, status } : one));
  return { state: { ...state, disputes }, description: `the dispute is ${status}` };
}

function changed(state: StripeState, id: string, change: Partial<Subscription>): StripeState {
  return { ...state, subscriptions: state.subscriptions.map((one) => (one.id === id ? { ...one, ...change } : one)) };
}

function pricesOf(random: Random): string[] {
  const price = random.pick([...prices.paid, ...prices.paid, ...prices.vip, ...prices.vip, prices.unknown]);
  return random.chance(0.1) ? ["price_addon", price] : [price];
}

/** Changes of a successful payment: the open invoices are paid, or the first invoice of a new subscription is paid. */
function paid(one: Subscription, _: Random, nowSeconds: number): Partial<Subscription> {
  const until = one.period_end ?? nowSeconds;
  const newest = one.price_ids.map((price_id) => ({ price_id, invoiced: nowSeconds, until }));
  return { status: "active", open_invoices: [], paid: [...newest, ...one.paid] };
}

function renewed({ period_seconds }: Subscription, nowSeconds: number): Partial<Subscription> {
  return { period_start: nowSeconds, period_end: nowSeconds + period_seconds };
}

function renewedNow(subscription: Subscription, random: Random, nowSeconds: number): Partial<Subscription> {
  const next = { ...subscription, ...renewed(subscription, nowSeconds) };
  return { ...next, ...paid(next, random, nowSeconds) };
}

function unpaid(subscription: Subscription, nowSeconds: number): Partial<Subscription> {
  return {
    price_ids: subscription.price_ids,
    ...renewed(subscription, nowSeconds),
    status: "past_due",
    open_invoices: [...subscription.open_invoices, { created: nowSeconds }],
  };
}

function cancelTime({ cancel_at, cancel_at_period_end, period_end }: Subscription): number {
  return cancel_at ?? (cancel_at_period_end ? period_end : null) ?? Infinity;
}
