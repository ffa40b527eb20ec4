import { isLive } from "../../../functions/core/entitlement";
import type { Random } from "../random";
import type { StripeState, Subscription } from "./stripeState";

/** Prices as the harness's policy knows them, and one that it does not. */
export const prices = {
  paid: ["price_paid", "price_paid_2025"],
  vip: ["price_vip"],
  unknown: "price_unknown",
};

const HOUR_SECONDS = 3600;
const DAY_SECONDS = 24 * HOUR_SECONDS;

/** What happens to one subscription: which statuses it may happen in, how likely it is, and what changes. */
interface Move {
  name: string;
  from: readonly string[];
  weight: number;
  change: (subscription: Subscription, random: Random, nowSeconds: number) => Partial<Subscription>;
}

const paying = ["active", "trialing", "past_due"] as const;

const moves: readonly Move[] = [
  { name: "is paid", from: ["incomplete"], weight: 30, change: paid },
  { name: "is paid", from: ["past_due", "unpaid"], weight: 6, change: paid },
  { name: "expires unpaid", from: ["incomplete"], weight: 2, change: () => ({ status: "incomplete_expired" }) },
  { name: "is tried in vain", from: ["incomplete", "past_due"], weight: 3, change: () => ({}) },
  {
    name: "trial ends paid",
    from: ["trialing"],
    weight: 3,
    change: (one, _, now) => ({ ...rolled(one, now), ...paid() }),
  },
  { name: "trial ends unpaid", from: ["trialing"], weight: 3, change: (one, _, now) => unpaid(one, now) },
  { name: "renewal is paid", from: ["active"], weight: 3, change: rolledNow },
  { name: "renewal is unpaid", from: ["active"], weight: 4, change: (one, _, now) => unpaid(one, now) },
  { name: "another renewal is unpaid", from: ["past_due"], weight: 2, change: (one, _, now) => unpaid(one, now) },
  {
    name: "oldest invoice is paid",
    from: ["past_due"],
    weight: 2,
    change: ({ open_invoices }) => (open_invoices.length > 1 ? { open_invoices: open_invoices.slice(1) } : paid()),
  },
  { name: "is given up", from: ["past_due"], weight: 3, change: () => ({ status: "unpaid" }) },
  { name: "is canceled", from: [...paying, "unpaid", "paused"], weight: 3, change: () => ({ status: "canceled" }) },
  {
    name: "cancel is scheduled by the portal",
    from: paying,
    weight: 4,
    change: ({ period_end }, random, now) => ({
      cancel_at: random.chance(0.6) && period_end ? period_end : now + random.int(HOUR_SECONDS, 3 * DAY_SECONDS),
    }),
  },
  {
    name: "cancel is scheduled the old way",
    from: paying,
    weight: 3,
    change: ({ period_end }, random) => ({
      cancel_at_period_end: true,
      cancel_at: random.chance(0.5) ? period_end : null,
    }),
  },
  {
    name: "cancel is withdrawn",
    from: paying,
    weight: 3,
    change: () => ({ cancel_at: null, cancel_at_period_end: false }),
  },
  {
    name: "changes price",
    from: paying,
    weight: 5,
    change: (_, random) => ({ price_ids: pricesOf(random) }),
  },
  {
    name: "collection is paused or resumed",
    from: ["active", "past_due"],
    weight: 3,
    change: ({ collection_paused }) => ({ collection_paused: !collection_paused }),
  },
  { name: "is paused", from: ["active", "trialing"], weight: 2, change: () => ({ status: "paused" }) },
  { name: "is resumed", from: ["paused"], weight: 6, change: rolledNow },
  { name: "has a status of the future", from: ["active"], weight: 1, change: () => ({ status: "on_hold" }) },
  { name: "is active again", from: ["on_hold"], weight: 6, change: paid },
];

/** A state that follows from another, and what led to it. */
export interface Step {
  state: StripeState;
  what: string;
}

/** What may come next for a customer, decided by `random`. */
export function anyMove(state: StripeState, random: Random, nowSeconds: number): Step {
  const live = state.subscriptions.filter(isLive);
  if (live.length === 0 ? random.chance(0.7) : random.chance(live.length > 1 ? 0.01 : 0.05)) {
    return purchase(state, random, nowSeconds);
  }
  if (state.subscriptions.length > 0 && random.chance(0.12)) return disputeMove(state, random, nowSeconds);
  if (live.length === 0) return { state, what: "nothing that matters" };

  const subscription = random.pick(live);
  const possible = moves.filter(({ from }) => from.includes(subscription.status));
  let left = random.next() * possible.reduce((sum, { weight }) => sum + weight, 0);
  const move = possible.find(({ weight }) => {
    left -= weight;
    return left < 0;
  });
  const change = move?.change(subscription, random, nowSeconds) ?? {};
  return { state: changed(state, subscription.id, change), what: `${subscription.id} ${move?.name}` };
}

/** A new subscription, whatever there is already. */
export function purchase(state: StripeState, random: Random, nowSeconds: number): Step {
  const status = random.pick(["incomplete", "incomplete", "incomplete", "active", "trialing"]);
  // Daily and weekly prices renew within a story; monthly ones do not.
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
    open_invoices: status === "incomplete" ? [{ created: nowSeconds, first: true }] : [],
    period_seconds,
  };
  return {
    state: { ...state, subscriptions: [subscription, ...state.subscriptions] },
    what: `${id} is made, ${status}`,
  };
}

/** Stripe deletes a customer and ends what they had. */
export function deletion(state: StripeState): Step {
  const subscriptions = state.subscriptions.map((one) => (isLive(one) ? { ...one, status: "canceled" } : one));
  return { state: { ...state, subscriptions, deleted: true }, what: "the customer is deleted" };
}

/** What Stripe does by itself next, when no one does anything: the end of a period, or a cancel that comes due. */
export function ownMove(state: StripeState, random: Random): (Step & { atSeconds: number }) | undefined {
  const due = state.subscriptions
    .filter(({ status }) => status === "active" || status === "trialing" || status === "past_due")
    .map((one) => ({ one, atSeconds: Math.min(cancelTime(one), one.period_end ?? Infinity) }))
    .toSorted((a, b) => a.atSeconds - b.atSeconds)[0];
  if (!due) return undefined;
  const { one, atSeconds } = due;
  if (cancelTime(one) <= atSeconds) {
    return {
      atSeconds,
      state: changed(state, one.id, { status: "canceled" }),
      what: `${one.id} is canceled as scheduled`,
    };
  }
  // The period rolls before anything is paid; in a test story the payment fails or succeeds at the same moment.
  const isPaid = one.status !== "past_due" && random.chance(0.7);
  const change = isPaid ? { ...rolled(one, atSeconds), ...paid() } : unpaid(one, atSeconds);
  return { atSeconds, state: changed(state, one.id, change), what: `${one.id} renews ${isPaid ? "paid" : "unpaid"}` };
}

function disputeMove(state: StripeState, random: Random, nowSeconds: number): Step {
  const open = state.disputes.find(({ status }) => status.endsWith("needs_response"));
  if (!open) {
    const status = random.pick(["needs_response", "needs_response", "warning_needs_response"]);
    const dispute = { id: `du_${random.int(0, 36 ** 6).toString(36)}`, status, created: nowSeconds };
    return { state: { ...state, disputes: [...state.disputes, dispute] }, what: `a dispute is made, ${status}` };
  }
  const status = random.pick(open.status === "needs_response" ? ["won", "lost"] : ["warning_closed", "needs_response"]);
  const disputes = state.disputes.map((one) => (one === open ? { ...one, status } : one));
  return { state: { ...state, disputes }, what: `the dispute is ${status}` };
}

function changed(state: StripeState, id: string, change: Partial<Subscription>): StripeState {
  return { ...state, subscriptions: state.subscriptions.map((one) => (one.id === id ? { ...one, ...change } : one)) };
}

function pricesOf(random: Random): string[] {
  const price = random.pick([...prices.paid, ...prices.paid, ...prices.vip, ...prices.vip, prices.unknown]);
  return random.chance(0.1) ? ["price_addon", price] : [price];
}

function paid(): Partial<Subscription> {
  return { status: "active", open_invoices: [] };
}

function rolled({ period_seconds }: Subscription, nowSeconds: number): Partial<Subscription> {
  return { period_start: nowSeconds, period_end: nowSeconds + period_seconds };
}

function rolledNow(subscription: Subscription, _: Random, nowSeconds: number): Partial<Subscription> {
  return { ...rolled(subscription, nowSeconds), ...paid() };
}

function unpaid(subscription: Subscription, nowSeconds: number): Partial<Subscription> {
  const invoice = { created: nowSeconds, first: subscription.status === "trialing" };
  return {
    ...rolled(subscription, nowSeconds),
    status: "past_due",
    open_invoices: [...subscription.open_invoices, invoice],
  };
}

function cancelTime({ cancel_at, cancel_at_period_end, period_end }: Subscription): number {
  return cancel_at ?? (cancel_at_period_end ? period_end : null) ?? Infinity;
}
