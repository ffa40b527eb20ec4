import type { DisputeFacts, StripeFacts, SubscriptionFacts } from "../../../functions/core/customer";
import { isLive } from "../../../functions/core/entitlement";

/** An unpaid invoice. */
export interface OpenInvoice {
  /** Unix seconds. */
  created: number;
  /** Whether the invoice is for the first payment, or for the first payment after a trial. */
  first: boolean;
}

/** One subscription at Stripe. */
export interface Subscription extends Omit<SubscriptionFacts, "unpaid_since" | "unpaid_first"> {
  /** Oldest first. */
  open_invoices: readonly OpenInvoice[];
  /** Time between two renewals, in seconds. */
  period_seconds: number;
}

/** All data of one customer at Stripe. Immutable. */
export interface StripeState {
  /** Newest first. */
  subscriptions: readonly Subscription[];
  disputes: readonly DisputeFacts[];
  deleted: boolean;
}

/** A customer without any purchase. */
export const newCustomer: StripeState = { subscriptions: [], disputes: [], deleted: false };

/** Facts that production reads when the state does not change during production's calls to Stripe. */
export function factsOf(state: StripeState): StripeFacts {
  return {
    subscriptions: decisiveSubscriptions(state.subscriptions).map((one) => subscriptionFacts(one, one.open_invoices)),
    disputes: [...state.disputes],
    customer_deleted: state.deleted,
    clock_ahead_seconds: 0,
  };
}

/** Subscriptions that determine the plan: all live ones and the last one that ended. */
export function decisiveSubscriptions(subscriptions: readonly Subscription[]): Subscription[] {
  const lastEnded = subscriptions.find((one) => !isLive(one));
  return subscriptions.filter((one) => isLive(one) || one === lastEnded);
}

/** @param openInvoices open invoices. Production reads them after the subscription, so they can be newer */
export function subscriptionFacts(
  { period_seconds: _, open_invoices: __, ...subscription }: Subscription,
  openInvoices: readonly OpenInvoice[],
): SubscriptionFacts {
  const unpaid = subscription.status === "past_due" ? openInvoices[0] : undefined;
  return { ...subscription, unpaid_since: unpaid?.created ?? null, unpaid_first: unpaid?.first ?? false };
}
