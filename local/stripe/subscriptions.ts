import type Stripe from "stripe";
import { newId } from "./ids";
import type { Ledger } from "./ledger";
import * as blank from "./objectDefaults";
import { invalid } from "./problem";

export const DAY = 24 * 3600;
/** An unpaid first invoice expires the subscription after this time. */
export const INCOMPLETE_SECONDS = 23 * 3600;

/** Final statuses. */
const ended = ["canceled", "incomplete_expired"];

/** The subscription of an invoice. */
export function subscriptionOf(ledger: Ledger, invoice: Stripe.Invoice): Stripe.Subscription | undefined {
  const id = invoice.parent?.subscription_details?.subscription;
  return typeof id === "string" ? ledger.find("subscription", id) : undefined;
}

/** End of a period. A monthly period ends on the same day of the next month, or on the last day of a shorter month. */
function periodEnd({ recurring }: Stripe.Price, start: number): number {
  const count = recurring?.interval_count ?? 1;
  switch (recurring?.interval) {
    case "day":
      return start + count * DAY;
    case "week":
      return start + 7 * count * DAY;
    default:
      return addMonths(start, recurring?.interval === "year" ? 12 * count : count);
  }
}

/**
 * Adds calendar months to a time in Unix seconds. Keeps the day of the month, or uses the last day of a shorter month.
 */
export function addMonths(start: number, months: number): number {
  const from = new Date(start * 1000);
  const to = new Date(from);
  to.setUTCDate(1);
  to.setUTCMonth(to.getUTCMonth() + months);
  const lastDay = new Date(Date.UTC(to.getUTCFullYear(), to.getUTCMonth() + 1, 0)).getUTCDate();
  to.setUTCDate(Math.min(from.getUTCDate(), lastDay));
  return to.getTime() / 1000;
}

/** Creates a subscription in its first period or trial, without an invoice. */
export function openSubscription(
  ledger: Ledger,
  given: {
    customer: string;
    items: { price: Stripe.Price; quantity: number }[];
    metadata: Record<string, string>;
    paymentMethod: string | null;
    trialEnd: number | null;
    status: Stripe.Subscription.Status;
    /** Days between an invoice and its due date. When set, Stripe sends invoices and does not charge the card. */
    daysUntilDue?: number;
  },
): Stripe.Subscription {
  const now = ledger.now(given.customer);
  const id = newId("sub");
  const items = given.items.map(({ price, quantity }) =>
    blank.subscriptionItem({
      id: newId("si", 14),
      created: now,
      current_period_start: now,
      current_period_end: given.trialEnd ?? periodEnd(price, now),
      price,
      quantity,
      subscription: id,
    }),
  );
  const customer = ledger.get("customer", given.customer) as Stripe.Customer;
  const { daysUntilDue } = given;
  const terms = { collection_method: "send_invoice", days_until_due: daysUntilDue ?? null } as const;
  return ledger.put("subscription", {
    ...blank.subscription({
      id,
      created: now,
      customer: given.customer,
      currency: given.items[0]?.price.currency ?? "jpy",
      items: blank.inlineList(items, `/v1/subscription_items?subscription=${id}`),
      metadata: given.metadata,
      status: given.trialEnd ? "trialing" : given.status,
      test_clock: customer.test_clock ?? null,
      default_payment_method: given.paymentMethod,
      trial_start: given.trialEnd ? now : null,
      trial_end: given.trialEnd,
    }),
    ...(daysUntilDue !== undefined && terms),
  });
}

/** Throws for an ended subscription. */
export function mustLive(subscription: Stripe.Subscription): void {
  if (ended.includes(subscription.status))
    throw invalid("A canceled subscription can only update its cancellation_details and metadata.");
}

/** Ends a subscription at once. */
export function endSubscription(
  ledger: Ledger,
  id: string,
  reason: Stripe.Subscription.CancellationDetails.Reason,
): Stripe.Subscription {
  const subscription = ledger.get("subscription", id);
  mustLive(subscription);
  const now = ledger.now(subscription.customer as string);
  ledger.set("dunning", id, undefined);
  for (const invoice of ledger.all("invoice")) {
    if (subscriptionOf(ledger, invoice)?.id !== id) continue;
    if (invoice.status === "draft" || invoice.status === "open")
      ledger.change("invoice", invoice.id, { auto_advance: false, next_payment_attempt: null });
  }
  return ledger.change(
    "subscription",
    id,
    {
      status: "canceled",
      canceled_at: subscription.canceled_at ?? now,
      ended_at: now,
      cancellation_details: { comment: null, feedback: null, feedback_option: null, reason },
    },
    "customer.subscription.deleted",
  );
}

/** End of the current period. */
export function currentPeriodEnd({ items }: Stripe.Subscription): number {
  return Math.min(...items.data.map((item) => item.current_period_end));
}

/** Moves every item to the period that begins at `start`. */
export function rollPeriod(subscription: Stripe.Subscription, start: number): Stripe.Subscription["items"] {
  const data = subscription.items.data.map((item) => ({
    ...item,
    current_period_start: start,
    current_period_end: periodEnd(item.price, start),
  }));
  return { ...subscription.items, data };
}
