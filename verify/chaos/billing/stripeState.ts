import type { DisputeFacts, StripeFacts, SubscriptionFacts } from "../../../functions/core/customer";
import { isLive } from "../../../functions/core/entitlement";

/** An invoice that is not paid yet. */
export interface OpenInvoice {
  /** Unix seconds. */
  created: number;
  /** Of a first payment, or the first after a trial. */
  first: boolean;
}

/** One subscription as Stripe has it. */
export interface Subscription extends Omit<SubscriptionFacts, "unpaid_since" | "unpaid_first"> {
  /** Oldest first. */
  open_invoices: readonly OpenInvoice[];
  /** From one renewal to the next, in seconds. */
  period_seconds: number;
}

/** Everything Stripe has of one customer. Never changed: a change makes a new one. */
export interface StripeState {
  /** Newest first. */
  subscriptions: readonly Subscription[];
  disputes: readonly DisputeFacts[];
  deleted: boolean;
}

/** A customer who has bought nothing yet. */
export const newCustomer: StripeState = { subscriptions: [], disputes: [], deleted: false };

/** The facts that a reader would find if Stripe stood still while it reads. */
export function factsOf(state: StripeState): StripeFacts {
  return {
    subscriptions: telling(state.subscriptions).map((one) => subscriptionFacts(one, one.open_invoices)),
    disputes: [...state.disputes],
    customer_deleted: state.deleted,
    clock_ahead_seconds: 0,
  };
}

/** Which subscriptions a plan follows from: those that live, and the last one that ended. */
export function telling(subscriptions: readonly Subscription[]): Subscription[] {
  const lastEnded = subscriptions.find((one) => !isLive(one));
  return subscriptions.filter((one) => isLive(one) || one === lastEnded);
}

/** @param openInvoices as they are when they are read, which may be later than the subscription */
export function subscriptionFacts(
  { period_seconds: _, open_invoices: __, ...subscription }: Subscription,
  openInvoices: readonly OpenInvoice[],
): SubscriptionFacts {
  const unpaid = subscription.status === "past_due" ? openInvoices[0] : undefined;
  return { ...subscription, unpaid_since: unpaid?.created ?? null, unpaid_first: unpaid?.first ?? false };
}
