import type { DisputeFacts, PaidPrice, StripeFacts, SubscriptionFacts } from "../../../functions/core/customer";
import { isLive } from "../../../functions/core/entitlement";

/** An unpaid invoice. */
interface OpenInvoice {
  /** Unix seconds. */
  created: number;
}

/** One subscription at Stripe. */
export interface Subscription extends Omit<SubscriptionFacts, "unpaid_since" | "unpaid_first" | "items" | "paid"> {
  /** Oldest first. */
  open_invoices: readonly OpenInvoice[];
  /** Prices of all paid invoices, the newest first. */
  paid: readonly PaidPrice[];
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

/** Facts that production reads if the state does not change between production's calls to Stripe. */
export function factsOf(state: StripeState): StripeFacts {
  return {
    subscriptions: decisiveSubscriptions(state.subscriptions).map((one) => subscriptionFacts(one, one)),
    disputes: [...state.disputes],
    customer_deleted: state.deleted,
    clock_ahead_seconds: 0,
  };
}

/** Subscriptions that determine the plan: all live subscriptions, and the subscription that ended last. */
export function decisiveSubscriptions(subscriptions: readonly Subscription[]): Subscription[] {
  const lastEnded = subscriptions.find((one) => !isLive(one));
  return subscriptions.filter((one) => isLive(one) || one === lastEnded);
}

/** Whether production also reads the subscription's invoices. */
export function needsInvoices({
  status,
  collection_paused,
}: Pick<Subscription, "status" | "collection_paused">): boolean {
  return status === "past_due" || collection_paused;
}

/** @param invoices production reads the invoices after the subscription, so the invoices can be newer */
export function subscriptionFacts(
  { period_seconds: _, open_invoices: __, paid: ___, ...subscription }: Subscription,
  invoices: Pick<Subscription, "open_invoices" | "paid">,
): SubscriptionFacts {
  const isOverdue = subscription.status === "past_due";
  const paid = needsInvoices(subscription) ? [...invoices.paid] : undefined;
  return {
    ...subscription,
    unpaid_since: (isOverdue && invoices.open_invoices[0]?.created) || null,
    unpaid_first: isOverdue && paid?.length === 0,
    ...(paid && { paid }),
  };
}
