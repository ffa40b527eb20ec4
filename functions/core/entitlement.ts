import type { PaidPlan, Plan, PlanResponse } from "../../contract/plan";
import type { Customer, DisputeFacts, KnownPlan, SubscriptionFacts } from "./customer";

/** The operator's rules for plans. */
export interface Policy {
  /** Stripe price ids of each plan. The first is sold; the others are accepted for existing subscriptions. */
  prices: Record<PaidPlan, string[]>;
  /** Days in which an unpaid renewal keeps the plan. */
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
  /** When the customer's own cancellation takes effect. */
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
  // When no entitlement grants a plan, the reason of the first entitlement is reported.
  const entitlements = [...subscriptionEntitlements(customer, now, policy), grantEntitlement(customer, now)];
  return entitlements.reduce((best, other) => (isBetter(other, best) ? other : best));
}

/** Returns the subscription to report: one that can grant a plan, else the newest live one, else the last ended one. */
export function currentSubscription(customer: Customer): SubscriptionFacts | undefined {
  return byWeight(customer)[0];
}

/**
 * Times (Unix seconds, customer's clock) after which a live subscription may grant another plan or none. At the times
 * in `stripes`, Stripe changes the subscription and sends events. The times in `ours` are our own deadlines, unknown to
 * Stripe.
 */
export function deadlines(subscription: SubscriptionFacts, policy: Policy): Record<"ours" | "stripes", number[]> {
  const { status, period_end } = subscription;
  const grace = status === "past_due" ? graceEnd(subscription, policy) : null;
  const runs = status === "active" || status === "trialing" || status === "past_due";
  const given = (...times: (number | null)[]) => times.filter((at) => at !== null);
  return { ours: given(grace), stripes: runs ? given(period_end, scheduledCancel(subscription)) : [] };
}

/**
 * Whether Stripe still runs the subscription, paid or not. A customer with a live subscription must not buy a second
 * one.
 */
export function isLive({ status }: Pick<SubscriptionFacts, "status">): boolean {
  return status !== "canceled" && status !== "incomplete_expired";
}

/** Whether a dispute is open. An open dispute prevents the customer from buying. */
export function isOpenDispute({ status }: DisputeFacts): boolean {
  return !isWonOrInquiry(status) && status !== "lost";
}

/** The plan that a subscription's prices map to; undefined when no price is known. */
export function planOfPrices(priceIds: string[], { prices }: Policy): PaidPlan | undefined {
  return (["vip", "paid"] as const).find((plan) => priceIds.some((id) => prices[plan].includes(id)));
}

/** Stable sort: of two with equal weight, the newer one stays first. */
function byWeight({ subscriptions = [] }: Customer): SubscriptionFacts[] {
  return subscriptions.toSorted((one, other) => weight(other) - weight(one));
}

function weight(subscription: SubscriptionFacts): number {
  if (!isLive(subscription)) return 0;
  return ["active", "trialing", "past_due"].includes(subscription.status) ? 2 : 1;
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

function subscriptionEntitlements(customer: Customer, now: Date, policy: Policy): Entitlement[] {
  const { disputes = [], clock_ahead_seconds: ahead = 0 } = customer;
  const at = now.getTime() / 1000 + ahead;
  return byWeight(customer).map((subscription) => {
    const result = evaluate(subscription, customer.known_plans?.[subscription.id], at, policy);
    const isBlocked = disputes.some((dispute) => blocks(dispute, subscription));
    return isBlocked && result.plan !== "free" ? deny("disputed") : result;
  });
}

/** @param at current time on the customer's clock, Unix seconds */
function evaluate(
  subscription: SubscriptionFacts,
  knownPlan: KnownPlan | undefined,
  at: number,
  policy: Policy,
): Entitlement {
  const known = planOfPrices(subscription.price_ids, policy);
  const plan = known ?? planOfUnknownPrice(subscription, knownPlan);
  const cancelAt = scheduledCancel(subscription);
  const denial = denialReason(subscription, at, cancelAt);
  if (denial) return deny(denial);
  // A customer who pays a price that was removed from the configuration must keep a plan. A price that was never
  // configured grants nothing.
  if (!plan || plan === "free") return deny("unknown_price");

  const cancel = cancelAt === null ? {} : { cancelAt: date(cancelAt) };
  if (subscription.status === "past_due") {
    const graceUntil = graceEnd(subscription, policy);
    if (graceUntil === null || graceUntil <= at) return deny("past_due");
    const expiresAt = date(Math.min(graceUntil, cancelAt ?? Infinity));
    return { plan, reason: known ? "grace" : "unknown_price", expiresAt, graceUntil: date(graceUntil), ...cancel };
  }
  const ends = Math.min(subscription.period_end ?? Infinity, cancelAt ?? Infinity);
  const expiresAt = ends === Infinity ? null : date(ends);
  const reason = subscription.status === "trialing" ? "trial" : "subscription";
  return { plan, reason: known ? reason : "unknown_price", expiresAt, ...cancel };
}

/**
 * Maps a price that the configuration does not know. A subscription with a remembered plan keeps that plan while its
 * prices are unchanged. After a price change it always gets `paid`: the customer still pays, but possibly not the VIP
 * price.
 */
function planOfUnknownPrice({ price_ids }: SubscriptionFacts, known: KnownPlan | undefined): Plan | undefined {
  if (known?.price_ids.join() === price_ids.join()) return known.plan;
  return known && "paid";
}

/** The reason a subscription grants no plan regardless of its price, or undefined. */
function denialReason(
  { status, collection_paused, period_end }: SubscriptionFacts,
  at: number,
  cancelAt: number | null,
): Entitlement["reason"] | undefined {
  switch (status) {
    case "active":
    case "trialing":
      if (collection_paused) return "paused";
      if (cancelAt !== null && cancelAt <= at) return "canceled";
      return period_end !== null && period_end + LEEWAY_SECONDS <= at ? "outdated" : undefined;
    case "past_due":
      if (collection_paused) return "paused";
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
 * End of the grace period, counted from the creation of the unpaid invoice. Stripe's retries and the next billing
 * period do not extend it. Null for a first payment, which has no grace period.
 */
function graceEnd(subscription: SubscriptionFacts, { graceDays }: Policy): number | null {
  const since = subscription.unpaid_since ?? subscription.period_start;
  return subscription.unpaid_first || since === null ? null : since + graceDays * DAY_SECONDS;
}

/** An open dispute blocks every subscription. A lost dispute blocks those created before it. */
function blocks(dispute: DisputeFacts, subscription: SubscriptionFacts): boolean {
  return isOpenDispute(dispute) || (dispute.status === "lost" && subscription.created < dispute.created);
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
