import type { PaidPlan, Plan, PlanResponse } from "../../contract/plan";
import type { Customer, DisputeFacts, KnownPlan, PaidPrice, SubscriptionFacts } from "./customer";

/** The operator's rules for plans. */
export interface Policy {
  /**
   * Stripe price ids of each plan. The first price is sold. The other prices are accepted for existing subscriptions.
   */
  prices: Record<PaidPlan, string[]>;
  /** Days for which a customer with an unpaid renewal keeps the plan. */
  graceDays: number;
}

/** The plan computed from the facts, and the reason. */
export interface Entitlement {
  plan: Plan;
  reason: PlanResponse["reason"];
  /** End of the plan without a further payment; null when the plan never ends. */
  expiresAt: Date | null;
  /** End of the grace period that currently keeps the plan. */
  graceUntil?: Date;
  /** Time at which the customer's cancellation takes effect. */
  cancelAt?: Date;
}

/**
 * Stripe sometimes reports a renewal late. A paying customer therefore keeps the plan for this long after the end of
 * the period.
 */
const LEEWAY_SECONDS = 24 * 3600;
const DAY_SECONDS = 24 * 3600;

const rank: Readonly<Record<Plan, number>> = { free: 0, paid: 1, vip: 2 };

/**
 * Computes the plan from the facts. It compares deadlines with `now`, so a deadline takes effect without an event from
 * Stripe.
 *
 * @param customer undefined when there is no row, which means `free`
 */
export function entitlement(customer: Customer | undefined, now: Date, policy: Policy): Entitlement {
  if (!customer) return { plan: "free", reason: "no_record", expiresAt: null };
  return best(customer, now, policy).entitlement;
}

/**
 * Returns the subscription to report to the customer. The first of these that exists:
 *
 * - the subscription that gives the plan
 * - a running subscription
 * - the newest live subscription
 * - the subscription that ended most recently
 */
export function currentSubscription(customer: Customer, now: Date, policy: Policy): SubscriptionFacts | undefined {
  return best(customer, now, policy).subscription ?? byWeight(customer)[0];
}

/**
 * Returns the times after which a live subscription may give a different plan or none, in Unix seconds of the
 * customer's clock. `stripes`: times at which Stripe changes the subscription and sends events. `ours`: our own
 * deadlines, which Stripe does not know.
 */
export function deadlines(subscription: SubscriptionFacts, policy: Policy): Record<"ours" | "stripes", number[]> {
  const { status, period_end, items = [], paid = [] } = subscription;
  const grace = status === "past_due" ? graceEnd(subscription, policy) : null;
  const given = (...times: (number | null)[]) => times.filter((at) => at !== null);
  const periodEnds = [period_end, ...items.map((item) => item.period_end)];
  return {
    ours: given(grace, ...paid.map(({ until }) => until)),
    stripes: isRunning(subscription) ? given(...periodEnds, scheduledCancel(subscription)) : [],
  };
}

/**
 * Whether Stripe still runs the subscription, paid or not. A customer with a live subscription must not buy a second
 * one.
 */
export function isLive({ status }: Pick<SubscriptionFacts, "status">): boolean {
  return status !== "canceled" && status !== "incomplete_expired";
}

/** Whether the subscription is running. A subscription with an overdue renewal is also running. */
export function isRunning({ status }: Pick<SubscriptionFacts, "status">): boolean {
  return status === "active" || status === "trialing" || status === "past_due";
}

/** Whether a dispute is open. An open dispute prevents the customer from buying. */
export function isOpenDispute({ status }: DisputeFacts): boolean {
  return !isWonOrInquiry(status) && status !== "lost";
}

/** The plan that a subscription's prices map to; undefined when no price is known. */
export function planOfPrices(priceIds: string[], { prices }: Policy): PaidPlan | undefined {
  return (["vip", "paid"] as const).find((plan) => priceIds.some((id) => prices[plan].includes(id)));
}

/** The sort is stable: among subscriptions of equal weight, the newest stays first. */
function byWeight({ subscriptions = [] }: Customer): SubscriptionFacts[] {
  return subscriptions.toSorted((one, other) => weight(other) - weight(one));
}

function weight(subscription: SubscriptionFacts): number {
  if (!isLive(subscription)) return 0;
  return isRunning(subscription) ? 2 : 1;
}

function isBetter(one: Entitlement, other: Entitlement): boolean {
  if (rank[one.plan] !== rank[other.plan]) return rank[one.plan] > rank[other.plan];
  if (one.plan === "free") return false;
  return (one.expiresAt?.getTime() ?? Infinity) > (other.expiresAt?.getTime() ?? Infinity);
}

function grantEntitlement({ grant_plan, grant_expires_at }: Customer, now: Date): Entitlement {
  if (!grant_plan || grant_plan === "free") return deny("no_plan");
  const expiresAt = grant_expires_at ? new Date(grant_expires_at) : null;
  if (expiresAt && expiresAt <= now) return deny("grant_expired");
  return { plan: grant_plan, reason: "grant", expiresAt };
}

/** An entitlement and its subscription. A grant has no subscription. */
interface Candidate {
  entitlement: Entitlement;
  subscription?: SubscriptionFacts;
}

/**
 * Returns the best candidate. When no candidate grants a plan, returns the first candidate, because its reason is
 * reported.
 */
function best(customer: Customer, now: Date, policy: Policy): Candidate {
  const candidates: Candidate[] = [
    ...subscriptionEntitlements(customer, now, policy),
    { entitlement: grantEntitlement(customer, now) },
  ];
  return candidates.reduce((one, other) => (isBetter(other.entitlement, one.entitlement) ? other : one));
}

function subscriptionEntitlements(customer: Customer, now: Date, policy: Policy): Candidate[] {
  const { disputes = [], clock_ahead_seconds: ahead = 0 } = customer;
  const at = now.getTime() / 1000 + ahead;
  return byWeight(customer).map((subscription) => {
    const result = evaluate(subscription, customer.known_plans?.[subscription.id], at, policy);
    const isBlocked = disputes.some((dispute) => blocks(dispute, subscription));
    return { subscription, entitlement: isBlocked && result.plan !== "free" ? deny("disputed") : result };
  });
}

/** @param at current time on the customer's clock, Unix seconds */
function evaluate(
  subscription: SubscriptionFacts,
  knownPlan: KnownPlan | undefined,
  at: number,
  policy: Policy,
): Entitlement {
  const { status, price_ids, collection_paused } = subscription;
  const known = planOfPrices(price_ids, policy);
  const plan = known ?? planOfUnknownPrice(subscription, knownPlan);
  const cancelAt = scheduledCancel(subscription);
  const periodEnd = periodEndOf(subscription, known, policy);
  const denial = denialReason(status, at, cancelAt);
  if (denial) return deny(denial);
  // A customer who pays a price that was removed from the configuration must keep a plan. A price that was never
  // configured grants nothing.
  if (!plan || plan === "free") return deny("unknown_price");

  const give = (given: PaidPlan, reason: Entitlement["reason"], end: number | null, graceUntil?: number) => {
    const ends = Math.min(end ?? Infinity, cancelAt ?? Infinity);
    return {
      plan: given,
      reason: known ? reason : ("unknown_price" as const),
      expiresAt: ends === Infinity ? null : date(ends),
      ...(graceUntil !== undefined && { graceUntil: date(graceUntil) }),
      ...(cancelAt !== null && { cancelAt: date(cancelAt) }),
    };
  };

  if (collection_paused || status === "past_due") {
    const paid = paidPlan(subscription, plan, knownPlan, policy);
    // While collection is paused there is no grace period, but the customer keeps the plan until the paid period ends.
    const grace = collection_paused ? null : graceEnd(subscription, policy);
    if (paid.plan && grace !== null && grace > at) return give(paid.plan, "grace", Math.max(grace, paid.until), grace);
    if (paid.plan && paid.until > at) return give(paid.plan, "subscription", paid.until);
    return deny(collection_paused ? "paused" : "past_due");
  }
  if (periodEnd !== null && periodEnd + LEEWAY_SECONDS <= at) return deny("outdated");
  return give(plan, status === "trialing" ? "trial" : "subscription", periodEnd);
}

/**
 * For an overdue or paused subscription, returns the plan that the customer has paid for, and the end of the paid
 * period. If the current plan is lower than the paid plan, returns the current plan. An upgrade whose payment failed
 * therefore does not raise the plan.
 *
 * @param current plan of the subscription's present prices
 */
function paidPlan(
  { paid, price_ids }: SubscriptionFacts,
  current: PaidPlan,
  known: KnownPlan | undefined,
  policy: Policy,
): { plan: PaidPlan | undefined; until: number } {
  // A row of an earlier version does not contain the paid prices. The next sync adds them within a day.
  if (!paid) return { plan: current, until: 0 };
  const planOf = ({ price_id }: PaidPrice): PaidPlan | undefined => {
    const unknown = price_ids.includes(price_id) ? current : known && "paid";
    return planOfPrices([price_id], policy) ?? unknown;
  };
  const lastInvoiced = paid.find((price) => planOf(price))?.invoiced;
  const last = paid
    .filter(({ invoiced }) => invoiced === lastInvoiced)
    .map((price) => ({ plan: planOf(price), until: price.until }))
    // After a change of plan, one invoice can have two lines for the same plan: one for the rest of the old period, and
    // one for the new period.
    .toSorted((one, other) => rank[other.plan ?? "free"] - rank[one.plan ?? "free"] || other.until - one.until)
    .at(0) ?? { plan: undefined, until: 0 };
  return last.plan && rank[current] < rank[last.plan] ? { ...last, plan: current } : last;
}

/** End of the billing period of the plan's price, or null when unknown. An add-on may have a different period. */
function periodEndOf(
  { items = [], period_end }: SubscriptionFacts,
  plan: PaidPlan | undefined,
  { prices }: Policy,
): number | null {
  const ends = items.filter(({ price_id }) => plan && prices[plan].includes(price_id)).map((item) => item.period_end);
  return ends.length > 0 ? Math.max(...ends) : period_end;
}

/**
 * Returns the plan for prices that the configuration does not know. A subscription keeps its known plan while its
 * prices are unchanged. After a change of prices, the plan is `paid`, because the new price may be lower than the VIP
 * price.
 */
function planOfUnknownPrice({ price_ids }: SubscriptionFacts, known: KnownPlan | undefined): Plan | undefined {
  if (known?.price_ids.join() === price_ids.join()) return known.plan;
  return known && "paid";
}

/**
 * Reason why a subscription with this status grants no plan, regardless of its prices and payments. Undefined if the
 * status allows a plan.
 */
function denialReason(status: string, at: number, cancelAt: number | null): Entitlement["reason"] | undefined {
  switch (status) {
    case "active":
    case "trialing":
    case "past_due":
      return cancelAt !== null && cancelAt <= at ? "canceled" : undefined;
    case "incomplete":
    case "incomplete_expired":
      return "incomplete";
    case "unpaid":
    case "paused":
    case "canceled":
      return status;
    default:
      return "unknown_status";
  }
}

function scheduledCancel(subscription: SubscriptionFacts): number | null {
  return subscription.cancel_at ?? (subscription.cancel_at_period_end ? subscription.period_end : null);
}

/**
 * End of the grace period, counted from the due time of the unpaid invoice. Stripe's retries and the next billing
 * period do not extend it. Null for a first payment, which has no grace period.
 */
function graceEnd(subscription: SubscriptionFacts, { graceDays }: Policy): number | null {
  const since = subscription.unpaid_since ?? subscription.period_start;
  return subscription.unpaid_first || since === null ? null : since + graceDays * DAY_SECONDS;
}

/**
 * An open dispute blocks every subscription. A lost dispute blocks the subscriptions that were created before the
 * dispute or in the same second. Stripe's times are whole seconds, and no customer buys again within a second.
 */
function blocks(dispute: DisputeFacts, subscription: SubscriptionFacts): boolean {
  return isOpenDispute(dispute) || (dispute.status === "lost" && subscription.created <= dispute.created);
}

/** An inquiry (`warning_…`) is not a dispute yet. A dispute that we won blocks nothing. */
function isWonOrInquiry(status: string): boolean {
  return status === "won" || status === "prevented" || status.startsWith("warning_");
}

function deny(reason: Entitlement["reason"]): Entitlement {
  return { plan: "free", reason, expiresAt: null };
}

function date(seconds: number): Date {
  return new Date(seconds * 1000);
}
