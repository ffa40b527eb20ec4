import type { StripeFacts, SubscriptionFacts } from "../../functions/core/customer";
import type { Policy } from "../../functions/core/entitlement";
import type { SyncWrite } from "../../functions/core/sync";

/** The plan policy of the tests. */
export const policy: Policy = { prices: { paid: ["price_paid"], vip: ["price_vip"] }, graceDays: 7 };

/** A paid subscription with a value in every field. */
export function subscription(over: Partial<SubscriptionFacts> = {}): SubscriptionFacts {
  const created = Math.floor(Date.now() / 1000);
  return {
    id: "sub_1",
    status: "active",
    created,
    price_ids: ["price_paid"],
    period_start: created,
    period_end: created + 30 * 86_400,
    trial_end: null,
    cancel_at: null,
    cancel_at_period_end: false,
    collection_paused: false,
    unpaid_since: null,
    unpaid_first: false,
    ...over,
  };
}

/** Facts of a customer with these subscriptions. */
export function facts(...subscriptions: SubscriptionFacts[]): StripeFacts {
  return { subscriptions, disputes: [], customer_deleted: false, clock_ahead_seconds: 0 };
}

/** The write of a sync that found one paid subscription. */
export function write(over: Partial<SyncWrite> = {}): SyncWrite {
  return {
    facts: facts(subscription()),
    knownPlans: {},
    entitlement: { plan: "paid", reason: "subscription", expiresAt: null },
    stripeStatus: "active",
    stripeSubscriptionId: "sub_1",
    reviewAt: null,
    now: new Date(),
    ...over,
  };
}
