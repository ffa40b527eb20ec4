import type Stripe from "stripe";
import { ApiError } from "../../contract/errors";
import { type PaidPrice, StripeFacts, type SubscriptionFacts } from "../core/customer";
import { isLive } from "../core/entitlement";
import { allFromStripe, findAtStripe, fromStripe } from "./client";

/**
 * Maximum number of paid invoices to read, newest first. Several are needed, because the newest may contain only
 * add-ons.
 */
const PAID_INVOICES = 20;

/**
 * Reads the facts that decide a plan. Most customers need one round trip. Disputes, invoices and a test clock are read
 * only when the first answers refer to them.
 *
 * @returns undefined when Stripe does not know the customer. Do not treat this as a customer without a subscription:
 *   with the key of a wrong Stripe account, all customers would lose their plans
 * @throws ApiError `unavailable` when Stripe does not answer
 */
export async function readStripeFacts(stripe: Stripe, customerId: string, now: Date): Promise<StripeFacts | undefined> {
  const reading = Promise.all([
    allFromStripe(stripe.subscriptions.list({ customer: customerId, status: "all", limit: 100 })),
    allFromStripe(stripe.charges.list({ customer: customerId, limit: 100 })),
  ]);
  // For a deleted or unknown customer, these calls fail, and nobody awaits them.
  reading.catch(() => {});
  const customer = await findAtStripe("customer", stripe.customers.retrieve(customerId));
  if (!customer) return undefined;
  if (customer.deleted) return { subscriptions: [], disputes: [], customer_deleted: true, clock_ahead_seconds: 0 };
  const [subscriptions, charges] = await reading;
  const kept = liveAndLastEnded(subscriptions);
  const disputed = charges.filter((charge) => charge.disputed);
  const [facts, disputes, clockAheadSeconds] = await Promise.all([
    Promise.all(kept.map((subscription) => subscriptionFacts(stripe, subscription))),
    Promise.all(disputed.map(({ id }) => allFromStripe(stripe.disputes.list({ charge: id, limit: 100 })))),
    clockAhead(stripe, customer, now),
  ]);
  return validated({
    subscriptions: facts,
    disputes: disputes.flat().map(({ id, status, created }) => ({ id, status, created })),
    customer_deleted: false,
    clock_ahead_seconds: clockAheadSeconds,
  });
}

/** Validates the facts before they are stored. If a row does not parse, every request of its customer fails. */
function validated(facts: StripeFacts): StripeFacts {
  const { data } = StripeFacts.safeParse(facts);
  if (data) return data;
  throw new ApiError("unavailable", undefined, { cause: "Stripe's answer does not match its documentation" });
}

/** Keeps all live subscriptions and the most recently ended subscription, newest first. */
function liveAndLastEnded(subscriptions: Stripe.Subscription[]): Stripe.Subscription[] {
  const newestFirst = subscriptions.toSorted((one, other) => other.created - one.created);
  const lastEnded = newestFirst.find((one) => !isLive(one));
  return newestFirst.filter((one) => isLive(one) || one === lastEnded);
}

async function subscriptionFacts(stripe: Stripe, subscription: Stripe.Subscription): Promise<SubscriptionFacts> {
  const { id, status, created } = subscription;
  const items = subscription.items.data;
  const isOverdue = status === "past_due";
  const isPaused = Boolean(subscription.pause_collection);
  const [unpaid, paid] = await Promise.all([
    isOverdue ? unpaidSince(stripe, id) : undefined,
    isOverdue || isPaused ? paidPrices(stripe, id) : undefined,
  ]);
  return {
    id,
    status,
    created,
    price_ids: items.map(({ price }) => price.id),
    period_start: earliest(items.map((item) => item.current_period_start)),
    period_end: earliest(items.map((item) => item.current_period_end)),
    items: items.map(({ price, current_period_start, current_period_end }) => ({
      price_id: price.id,
      period_start: current_period_start,
      period_end: current_period_end,
    })),
    // Older Stripe accounts omit this field.
    trial_end: subscription.trial_end ?? null,
    cancel_at: subscription.cancel_at ?? null,
    cancel_at_period_end: subscription.cancel_at_period_end === true,
    collection_paused: isPaused,
    unpaid_since: unpaid ?? null,
    unpaid_first: isOverdue && paid?.length === 0,
    ...(paid && { paid }),
  };
}

/**
 * Reads which prices the customer has paid, from the newest paid invoices. Only Stripe's `status` decides whether an
 * invoice is paid. An invoice with a 100 % coupon, or one paid outside of Stripe (`amount_paid_off_stripe`), has
 * `amount_paid` 0 and is paid. A line without an amount is a trial, and a negative line gives money back: neither is a
 * payment. A discount does not change the amount of its line.
 */
async function paidPrices(stripe: Stripe, subscription: string): Promise<PaidPrice[]> {
  const list = stripe.invoices.list({ subscription, status: "paid", limit: PAID_INVOICES });
  const { data: invoices } = await fromStripe("list", list);
  const newestFirst = invoices.toSorted((one, other) => other.created - one.created);
  return newestFirst.flatMap(({ created, lines }) =>
    lines.data.flatMap(({ amount, period, pricing }): PaidPrice[] => {
      const price = pricing?.price_details?.price;
      const price_id = typeof price === "string" ? price : price?.id;
      return price_id && amount > 0 ? [{ price_id, invoiced: created, until: period.end }] : [];
    }),
  );
}

/**
 * Returns the time since which an invoice is unpaid. For an invoice that the customer pays by hand, such as at a
 * konbini, this is the due date. For an invoice that Stripe charges, this is the creation time. Reads the oldest open
 * invoice, because an overdue subscription gets another unpaid invoice in every period.
 */
async function unpaidSince(stripe: Stripe, subscription: string): Promise<number | undefined> {
  const open = await allFromStripe(stripe.invoices.list({ subscription, status: "open", limit: 100 }));
  return open.map(({ due_date, created }) => due_date ?? created).toSorted((one, other) => one - other)[0];
}

/** Seconds that the customer's test clock is ahead of ours. Live mode has no test clocks. */
async function clockAhead(stripe: Stripe, { livemode, test_clock }: Stripe.Customer, now: Date): Promise<number> {
  if (livemode || !test_clock) return 0;
  const id = typeof test_clock === "string" ? test_clock : test_clock.id;
  const clock = await fromStripe("test_helpers.test_clock", stripe.testHelpers.testClocks.retrieve(id));
  return clock.frozen_time - Math.floor(now.getTime() / 1000);
}

function earliest(times: number[]): number | null {
  return times.length > 0 ? Math.min(...times) : null;
}
