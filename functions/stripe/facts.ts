import type Stripe from "stripe";
import { ApiError } from "../../contract/errors";
import { StripeFacts, type SubscriptionFacts } from "../core/customer";
import { isLive } from "../core/entitlement";
import { allFromStripe, fromStripe } from "./client";

/** Limit per kind of object: enough for years of monthly payments. */
const MAX_OBJECTS = 300;
/** A trial's first invoice is created near the trial's end, with Stripe's own delay. */
const TRIAL_END_SLACK_SECONDS = 24 * 3600;

/**
 * Reads the facts that decide a plan. Most customers need one round trip. Disputes, open invoices and a test clock are
 * read only when the first answers refer to them.
 *
 * @throws ApiError `unavailable` when Stripe does not answer or does not know the customer. An unknown customer must
 * not count as a customer without a subscription: with the key of a wrong Stripe account, all customers would lose
 * their plans
 */
export async function readStripeFacts(stripe: Stripe, customerId: string, now: Date): Promise<StripeFacts> {
  const reading = Promise.all([
    allFromStripe(stripe.subscriptions.list({ customer: customerId, status: "all", limit: 100 }), MAX_OBJECTS),
    allFromStripe(stripe.charges.list({ customer: customerId, limit: 100 }), MAX_OBJECTS),
  ]);
  // The result is awaited below, unless the customer is deleted. For a deleted customer these calls can fail, and their
  // errors are ignored.
  reading.catch(() => {});
  const customer = await fromStripe("customer", stripe.customers.retrieve(customerId));
  if (customer.deleted) return { subscriptions: [], disputes: [], customer_deleted: true, clock_ahead_seconds: 0 };
  const [subscriptions, charges] = await reading;
  const kept = liveAndLastEnded(subscriptions);
  const disputed = charges.filter((charge) => charge.disputed);
  const [facts, disputes, clockAheadSeconds] = await Promise.all([
    Promise.all(kept.map((subscription) => subscriptionFacts(stripe, subscription))),
    Promise.all(disputed.map(({ id }) => allFromStripe(stripe.disputes.list({ charge: id }), MAX_OBJECTS))),
    clockAhead(stripe, customer, now),
  ]);
  return validated({
    subscriptions: facts,
    disputes: disputes.flat().map(({ id, status, created }) => ({ id, status, created })),
    customer_deleted: false,
    clock_ahead_seconds: clockAheadSeconds,
  });
}

/**
 * Validates the facts before they are stored. Every request of a customer fails when the customer's row does not parse.
 */
function validated(facts: StripeFacts): StripeFacts {
  const { data } = StripeFacts.safeParse(facts);
  if (data) return data;
  throw new ApiError("unavailable", undefined, { cause: "Stripe's answer does not match its documentation" });
}

/** Keeps all live subscriptions and the last ended one, newest first. */
function liveAndLastEnded(subscriptions: Stripe.Subscription[]): Stripe.Subscription[] {
  const newestFirst = subscriptions.toSorted((one, other) => other.created - one.created);
  const lastEnded = newestFirst.find((one) => !isLive(one));
  return newestFirst.filter((one) => isLive(one) || one === lastEnded);
}

async function subscriptionFacts(stripe: Stripe, subscription: Stripe.Subscription): Promise<SubscriptionFacts> {
  const { id, status, created, items } = subscription;
  // Older Stripe accounts omit this field.
  const trialEnd = subscription.trial_end ?? null;
  const unpaid = status === "past_due" ? await oldestOpenInvoice(stripe, id) : undefined;
  const periodStart = earliest(items.data.map((item) => item.current_period_start));
  const unpaidSince = unpaid?.created ?? periodStart;
  const followsTrial =
    trialEnd !== null && unpaidSince !== null && Math.abs(unpaidSince - trialEnd) < TRIAL_END_SLACK_SECONDS;
  return {
    id,
    status,
    created,
    price_ids: items.data.map(({ price }) => price.id),
    period_start: periodStart,
    period_end: earliest(items.data.map((item) => item.current_period_end)),
    trial_end: trialEnd,
    cancel_at: subscription.cancel_at ?? null,
    cancel_at_period_end: subscription.cancel_at_period_end === true,
    collection_paused: Boolean(subscription.pause_collection),
    unpaid_since: unpaid?.created ?? null,
    unpaid_first: status === "past_due" && (followsTrial || unpaid?.billing_reason === "subscription_create"),
  };
}

/**
 * Reads the oldest open invoice. The latest one would be wrong: a subscription that stays past due gets another unpaid
 * invoice in every period.
 */
async function oldestOpenInvoice(stripe: Stripe, subscription: string): Promise<Stripe.Invoice | undefined> {
  const open = await allFromStripe(stripe.invoices.list({ subscription, status: "open", limit: 100 }), MAX_OBJECTS);
  return open.toSorted((one, other) => one.created - other.created)[0];
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
