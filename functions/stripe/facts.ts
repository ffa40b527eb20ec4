import type Stripe from "stripe";
import { ApiError } from "../../contract/errors";
import { StripeFacts, type SubscriptionFacts } from "../core/customer";
import { isLive } from "../core/entitlement";
import { allFromStripe, fromStripe } from "./client";

/** Most objects of a kind read for one customer: years of monthly payments. */
const MOST = 300;
/** A trial's first invoice is made at its end, give or take Stripe's own delay. */
const TRIAL_END_SLACK_SECONDS = 24 * 3600;

/**
 * Reads everything a plan follows from, in one round trip for most customers: disputes, open invoices and a test clock
 * are asked for only where the first answers point to them.
 *
 * @throws ApiError `unavailable` when Stripe does not answer, or does not know the customer: with the wrong account's key
 * nobody would be known, and nobody must lose a plan by that
 */
export async function readStripeFacts(stripe: Stripe, customerId: string, now: Date): Promise<StripeFacts> {
  const reading = Promise.all([
    allFromStripe(stripe.subscriptions.list({ customer: customerId, status: "all", limit: 100 }), MOST),
    allFromStripe(stripe.charges.list({ customer: customerId, limit: 100 }), MOST),
  ]);
  // Awaited below, unless the customer is deleted: with it Stripe has ended every subscription, and may not list them.
  reading.catch(() => {});
  const customer = await fromStripe("customer", stripe.customers.retrieve(customerId));
  if (customer.deleted) return { subscriptions: [], disputes: [], customer_deleted: true, clock_ahead_seconds: 0 };
  const [subscriptions, charges] = await reading;
  const kept = keepTelling(subscriptions);
  const disputed = charges.filter((charge) => charge.disputed);
  const [facts, disputes, clockAheadSeconds] = await Promise.all([
    Promise.all(kept.map((subscription) => subscriptionFacts(stripe, subscription))),
    Promise.all(disputed.map(({ id }) => allFromStripe(stripe.disputes.list({ charge: id }), MOST))),
    clockAhead(stripe, customer, now),
  ]);
  return checked({
    subscriptions: facts,
    disputes: disputes.flat().map(({ id, status, created }) => ({ id, status, created })),
    customer_deleted: false,
    clock_ahead_seconds: clockAheadSeconds,
  });
}

/** A row that does not parse locks its customer out until somebody mends it, so nothing gets there that would not. */
function checked(facts: StripeFacts): StripeFacts {
  const { data } = StripeFacts.safeParse(facts);
  if (data) return data;
  throw new ApiError("unavailable", undefined, { cause: "Stripe's answers are not what they are documented to be" });
}

/** Newest first: those that live, and the last one that ended. */
function keepTelling(subscriptions: Stripe.Subscription[]): Stripe.Subscription[] {
  const newestFirst = subscriptions.toSorted((one, other) => other.created - one.created);
  const lastEnded = newestFirst.find((one) => !isLive(one));
  return newestFirst.filter((one) => isLive(one) || one === lastEnded);
}

async function subscriptionFacts(stripe: Stripe, subscription: Stripe.Subscription): Promise<SubscriptionFacts> {
  const { id, status, created, items } = subscription;
  // Absent where an older account leaves them out.
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

/** Not the latest: in an account that leaves subscriptions past due, every period has an unpaid one of its own. */
async function oldestOpenInvoice(stripe: Stripe, subscription: string): Promise<Stripe.Invoice | undefined> {
  const open = await allFromStripe(stripe.invoices.list({ subscription, status: "open", limit: 100 }), MOST);
  return open.toSorted((one, other) => one.created - other.created)[0];
}

/** Stripe's test clocks run apart from ours. None in live mode. */
async function clockAhead(stripe: Stripe, { livemode, test_clock }: Stripe.Customer, now: Date): Promise<number> {
  if (livemode || !test_clock) return 0;
  const id = typeof test_clock === "string" ? test_clock : test_clock.id;
  const clock = await fromStripe("test_helpers.test_clock", stripe.testHelpers.testClocks.retrieve(id));
  return clock.frozen_time - Math.floor(now.getTime() / 1000);
}

function earliest(times: number[]): number | null {
  return times.length > 0 ? Math.min(...times) : null;
}
