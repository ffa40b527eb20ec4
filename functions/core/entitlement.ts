import type { PaidPlan, Plan, PlanResponse } from "../../contract/plan";
import type { Customer, DisputeFacts, KnownPlan, SubscriptionFacts } from "./customer";

/** What the operator decides. */
export interface Policy {
  /** Stripe price ids that stand for each plan: the first is sold, the others are still honoured. */
  prices: Record<PaidPlan, string[]>;
  /** Days that an unpaid renewal leaves the plan as it is. */
  graceDays: number;
}

/** The plan that follows from the facts, and why. */
export interface Entitlement {
  plan: Plan;
  reason: PlanResponse["reason"];
  /** When the plan ends by itself, unless something is paid before. */
  expiresAt: Date | null;
  /** The end of the grace period that gives the plan. */
  graceUntil?: Date;
  /** When the customer's own cancel takes effect. */
  cancelAt?: Date;
}

/** Stripe may be late with news of a period that has ended; a customer who pays is not cut off at the second. */
const LEEWAY_SECONDS = 24 * 3600;
const DAY_SECONDS = 24 * 3600;

const rank: Readonly<Record<Plan, number>> = { free: 0, paid: 1, vip: 2 };

/**
 * Facts in, plan out. Pure: a deadline that passes needs no event.
 *
 * @param customer undefined when there is no row, which means `free`
 */
export function entitlement(customer: Customer | undefined, now: Date, policy: Policy): Entitlement {
  if (!customer) return { plan: "free", reason: "no_record", expiresAt: null };
  // Where nothing gives a plan, the first says why.
  const verdicts = [...subscriptionVerdicts(customer, now, policy), grantVerdict(customer, now)];
  return verdicts.reduce((best, other) => (isBetter(other, best) ? other : best));
}

/** The subscription to speak of: the one that may give a plan, or else the newest that lives, or the last that ended. */
export function currentSubscription(customer: Customer): SubscriptionFacts | undefined {
  return inOrderOfWeight(customer)[0];
}

/**
 * Unix seconds, in the customer's time, at which time alone changes what a live subscription gives: `stripes` are those
 * at which Stripe does something, `ours` pass unnoticed by Stripe.
 */
export function deadlines(subscription: SubscriptionFacts, policy: Policy): Record<"ours" | "stripes", number[]> {
  const { status, period_end } = subscription;
  const grace = status === "past_due" ? graceEnd(subscription, policy) : null;
  const runs = status === "active" || status === "trialing" || status === "past_due";
  const given = (...times: (number | null)[]) => times.filter((at) => at !== null);
  return { ours: given(grace), stripes: runs ? given(period_end, scheduledCancel(subscription)) : [] };
}

/** Whether a subscription still runs in Stripe's eyes, paid or not: then there must be no second one. */
export function isLive({ status }: Pick<SubscriptionFacts, "status">): boolean {
  return status !== "canceled" && status !== "incomplete_expired";
}

/** Whether a dispute is open. While it is, nothing is sold to the customer. */
export function isOpenDispute({ status }: DisputeFacts): boolean {
  return !isReleased(status) && status !== "lost";
}

/** The plan a subscription's prices stand for; undefined when none of them is known. */
export function planOfPrices(priceIds: string[], { prices }: Policy): PaidPlan | undefined {
  return (["vip", "paid"] as const).find((plan) => priceIds.some((id) => prices[plan].includes(id)));
}

/** Stable, so that the newer of two that weigh the same comes first, as in the row. */
function inOrderOfWeight({ subscriptions = [] }: Customer): SubscriptionFacts[] {
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

function grantVerdict({ grant_plan, grant_expires_at }: Customer, now: Date): Entitlement {
  if (!grant_plan || grant_plan === "free") return deny("no_plan");
  const expiresAt = grant_expires_at ? new Date(grant_expires_at) : null;
  if (expiresAt && expiresAt <= now) return deny("grant_expired");
  return { plan: grant_plan, reason: "grant", expiresAt };
}

function subscriptionVerdicts(customer: Customer, now: Date, policy: Policy): Entitlement[] {
  const { disputes = [], clock_ahead_seconds: ahead = 0 } = customer;
  const at = now.getTime() / 1000 + ahead;
  return inOrderOfWeight(customer).map((subscription) => {
    const verdict = judge(subscription, customer.known_plans?.[subscription.id], at, policy);
    const isHeld = disputes.some((dispute) => holds(dispute, subscription));
    return isHeld && verdict.plan !== "free" ? deny("disputed") : verdict;
  });
}

/** @param at the customer's time in Unix seconds */
function judge(
  subscription: SubscriptionFacts,
  knownPlan: KnownPlan | undefined,
  at: number,
  policy: Policy,
): Entitlement {
  const known = planOfPrices(subscription.price_ids, policy);
  const plan = known ?? keptPlan(subscription, knownPlan);
  const cancelAt = scheduledCancel(subscription);
  const denial = denied(subscription, at, cancelAt);
  if (denial) return deny(denial);
  // A price that was taken out of the configuration must not lock out who pays for it; one never known grants nothing.
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
 * A price that the configuration has lost stays what it was; one that it has never known, on a subscription that was good,
 * must not lock out a payer, nor make a VIP.
 */
function keptPlan({ price_ids }: SubscriptionFacts, known: KnownPlan | undefined): Plan | undefined {
  if (known?.price_ids.join() === price_ids.join()) return known.plan;
  return known && "paid";
}

/** Why a subscription gives no plan whatever its price, or undefined. */
function denied(
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
 * Counted from the unpaid invoice, so that neither Stripe's retries nor the period, which has moved on already, extend
 * it. A first payment has no grace.
 */
function graceEnd(subscription: SubscriptionFacts, { graceDays }: Policy): number | null {
  const since = subscription.unpaid_since ?? subscription.period_start;
  return subscription.unpaid_first || since === null ? null : since + graceDays * DAY_SECONDS;
}

/** An open dispute holds everything; a lost one what was bought before it. */
function holds(dispute: DisputeFacts, subscription: SubscriptionFacts): boolean {
  return isOpenDispute(dispute) || (dispute.status === "lost" && subscription.created < dispute.created);
}

/** Inquiries are no disputes yet, and nothing is held any more once the bank has decided for us. */
function isReleased(status: string): boolean {
  return status === "won" || status === "prevented" || status.startsWith("warning_");
}

function deny(reason: Entitlement["reason"]): Entitlement {
  return { plan: "free", reason, expiresAt: null };
}

function date(seconds: number): Date {
  return new Date(seconds * 1000);
}
