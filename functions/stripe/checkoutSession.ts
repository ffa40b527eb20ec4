import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import Stripe from "stripe";
import { ApiError } from "../../contract/errors";
import type { PaidPlan } from "../../contract/plan";
import type { SubscriptionFacts } from "../core/customer";
import { isLive, isOpenDispute } from "../core/entitlement";
import { raiseAlarm } from "../lib/alarms";
import type { Caller } from "../lib/identity";
import { withQuery } from "../lib/returnUrl";
import type { CheckoutAttempt, CheckoutAttempts } from "../tables/checkoutAttempts";
import type { Billing } from "./billing";
import {
  allFromStripe,
  findAtStripe,
  fromStripe,
  idempotencyKey,
  needsNewIdempotencyKey,
  stripeFailure,
} from "./client";
import { ensureStripeCustomer } from "./customer";

/** A purchase: plan, price and return URL. */
export interface Purchase {
  plan: PaidPlan;
  priceId: string;
  returnUrl: string;
}

/** Dependencies of `openCheckoutSession`. */
export interface CheckoutSources {
  stripe: Stripe;
  billing: Billing;
  attempts: CheckoutAttempts;
  /** `snack-misaki/<stack>`, for the metadata. */
  owner: string;
}

/** Lifetime of a Checkout Session. Stripe allows 30 minutes to 24 hours, counted from the arrival of the request. */
const SESSION_LIFETIME_SECONDS = 3600;
/**
 * Minimum remaining time of an attempt that gets a new session. Stripe requires 30 minutes. The additional minute is
 * for slow requests and inexact clocks.
 */
const MIN_LIFETIME_SECONDS = 31 * 60;
/** Minimum remaining time of a session that is reused, because a payment takes some minutes. */
const MIN_REMAINING_SECONDS = 900;
/**
 * A request for another plan waits until the current attempt is older than this, so that the attempt can finish first.
 * Otherwise concurrent requests for different plans would replace each other's attempts again and again. After this
 * time, the process of the attempt has probably crashed.
 */
const TURN_SECONDS = 5;
/** Wait between two reads of another request's attempt. A random time of up to the same length is added. */
const WAIT_MS = 150;
/** A request starts no new round after this time. Lambda ends the request after 29 s. */
const GIVE_UP_AFTER_MS = 18_000;

/**
 * Returns the URL of the caller's open Checkout Session. Creates the session if necessary. Nothing can be paid twice:
 *
 * - Concurrent requests agree on one attempt by a conditional write. There is no lock, because a process can lose a
 *   lock without noticing.
 * - All requests for an attempt create its session with the same parameters and the same idempotency key. So Stripe
 *   creates one session.
 * - Sessions of other attempts are expired before the customer is checked for a live subscription. A session that was
 *   just paid has then already created its subscription.
 * - If another attempt has started in the meantime, the session is expired and its URL is not returned.
 *
 * @throws ApiError `already_subscribed`, `checkout_refused`, or `unavailable`
 */
export async function openCheckoutSession(
  caller: Caller,
  purchase: Purchase,
  sources: CheckoutSources,
): Promise<string> {
  const { stripe, billing, attempts, owner } = sources;
  const giveUpAt = performance.now() + GIVE_UP_AFTER_MS;
  while (performance.now() < giveUpAt) {
    const customer = await ensureStripeCustomer(caller, { stripe, rows: billing.rows, owner });
    const attempt = await currentAttempt(caller.userId, purchase, attempts);
    const url = attempt && (await sessionOfAttempt(caller.userId, customer, attempt, sources));
    if (url) return url;
    await sleep(WAIT_MS * (1 + Math.random()));
  }
  throw new ApiError("unavailable", undefined, { cause: "too many concurrent checkout requests" });
}

/**
 * Returns the URL of the attempt's open session. Undefined when another attempt has replaced this attempt, or when the
 * session has ended. The next round then uses another attempt.
 */
async function sessionOfAttempt(
  userId: string,
  customer: string,
  attempt: CheckoutAttempt,
  { stripe, billing, attempts, owner }: CheckoutSources,
): Promise<string | undefined> {
  const open = await allFromStripe(stripe.checkout.sessions.list({ customer, status: "open", limit: 100 }));
  const own = open.find(({ metadata }) => metadata?.attempt === attempt.id);
  for (const other of open) if (other !== own) await expire(stripe, other.id);
  try {
    await refuseSecondSubscription(userId, { stripe, billing }, attempt, own !== undefined);
    const session = own ?? (await create(stripe, userId, customer, attempt, owner));
    if (!session) {
      await attempts.abandon(userId, attempt);
      return undefined;
    }
    if (await attempts.handOut(userId, attempt, session.id)) return urlOf(session);
    await expire(stripe, session.id);
    return undefined;
  } catch (error) {
    const isRefusal = error instanceof ApiError && error.code !== "unavailable";
    if (isRefusal && own) await expire(stripe, own.id);
    // Stripe may have created the session in spite of a server error. The next request then expires that session.
    if (isRefusal || needsNewIdempotencyKey(error)) await attempts.abandon(userId, attempt);
    throw error;
  }
}

/**
 * Returns the current attempt if it fits this purchase. Otherwise starts a new attempt. Returns undefined when a
 * concurrent request has started another attempt, which should finish first.
 */
async function currentAttempt(
  userId: string,
  purchase: Purchase,
  attempts: CheckoutAttempts,
): Promise<CheckoutAttempt | undefined> {
  const now = new Date();
  const current = await attempts.current(userId, now);
  const secondsLeft = (current?.expires_at ?? 0) - now.getTime() / 1000;
  if (current && isFor(current, purchase)) {
    if (secondsLeft >= (current.session_id ? MIN_REMAINING_SECONDS : MIN_LIFETIME_SECONDS)) return current;
  } else if (current && !current.session_id && SESSION_LIFETIME_SECONDS - secondsLeft < TURN_SECONDS) {
    return undefined;
  }
  const attempt = newAttempt(purchase, now);
  return (await attempts.start(userId, attempt, current, now)) ? attempt : undefined;
}

function newAttempt({ plan, priceId, returnUrl }: Purchase, now: Date): CheckoutAttempt {
  const expires_at = Math.floor(now.getTime() / 1000) + SESSION_LIFETIME_SECONDS;
  return { id: randomUUID(), plan, price_id: priceId, return_url: returnUrl, expires_at };
}

function isFor(attempt: CheckoutAttempt, { plan, priceId, returnUrl }: Purchase): boolean {
  return attempt.plan === plan && attempt.price_id === priceId && attempt.return_url === returnUrl;
}

/**
 * Syncs the customer. Throws ApiError when the customer has an open dispute or a live subscription. If the first
 * payment of an earlier attempt failed, cancels its subscription. Such a subscription would block every purchase for 23
 * hours.
 *
 * @param isOpen whether the attempt's session is open
 */
async function refuseSecondSubscription(
  userId: string,
  { stripe, billing }: Pick<CheckoutSources, "stripe" | "billing">,
  attempt: CheckoutAttempt,
  isOpen: boolean,
): Promise<void> {
  // The session may be paid without an event. So the reconciler reviews the row after the end of the session.
  const reviewBy = new Date((attempt.expires_at + 60) * 1000);
  const { customer } = await billing.sync(userId, { reviewBy });
  if (customer.disputes?.some(isOpenDispute)) throw new ApiError("checkout_refused");
  const live = (customer.subscriptions ?? []).filter(isLive);
  if (live.some(({ status }) => status !== "incomplete")) throw new ApiError("already_subscribed");
  // Checkout creates the subscription at the first payment attempt. After a declined card the subscription is
  // incomplete, and the customer returns to the same page.
  const startedAt = attempt.expires_at - SESSION_LIFETIME_SECONDS;
  const isOfOpenSession = ({ created }: SubscriptionFacts) => isOpen && created >= startedAt;
  for (const one of live) if (!isOfOpenSession(one)) await cancelIncomplete(stripe, one.id);
}

/**
 * Cancels a subscription whose first payment has not succeeded.
 *
 * @throws ApiError `already_subscribed` when the payment has succeeded in the meantime
 */
async function cancelIncomplete(stripe: Stripe, id: string): Promise<void> {
  const { status } = await fromStripe("subscription", stripe.subscriptions.retrieve(id));
  if (!isLive({ status })) return;
  if (status !== "incomplete") throw new ApiError("already_subscribed");
  const canceling = stripe.subscriptions.cancel(id, { expand: ["latest_invoice"] });
  // Undefined when the subscription has just expired. For an ended subscription, Stripe answers that it is unknown.
  const canceled = await findAtStripe("subscription", canceling);
  const invoice = canceled?.latest_invoice;
  // The payment succeeded between the two calls. Only an operator can give the money back.
  if (typeof invoice === "object" && invoice?.status === "paid")
    raiseAlarm("paid_subscription_canceled", { subscription: id });
}

/**
 * Creates the attempt's session. Returns undefined when the attempt already had a session and that session has ended.
 */
async function create(
  stripe: Stripe,
  userId: string,
  customer: string,
  attempt: CheckoutAttempt,
  owner: string,
): Promise<Stripe.Checkout.Session | undefined> {
  if (attempt.session_id) return undefined;
  const params: Stripe.Checkout.SessionCreateParams = {
    mode: "subscription",
    customer,
    client_reference_id: userId,
    line_items: [{ price: attempt.price_id, quantity: 1 }],
    success_url: withQuery(attempt.return_url, "checkout", "success"),
    cancel_url: withQuery(attempt.return_url, "checkout", "cancelled"),
    expires_at: attempt.expires_at,
    metadata: { user_id: userId, owner, attempt: attempt.id },
    subscription_data: { metadata: { user_id: userId, owner } },
  };
  const options = { idempotencyKey: idempotencyKey(["checkout", attempt.id], params), maxNetworkRetries: 4 };
  const made = await fromStripe("checkout.session", stripe.checkout.sessions.create(params, options));
  // Stripe may replay the answer of an earlier request, so this reads the session's current state.
  const session = await fromStripe("checkout.session", stripe.checkout.sessions.retrieve(made.id));
  return session.status === "open" ? session : undefined;
}

/** Expires a session, so that nobody can pay it. Ignores the error of a session that was paid just before. */
async function expire(stripe: Stripe, sessionId: string): Promise<void> {
  try {
    await stripe.checkout.sessions.expire(sessionId);
  } catch (error) {
    if (!(error instanceof Stripe.errors.StripeInvalidRequestError)) throw stripeFailure(error);
    const session = await fromStripe("checkout.session", stripe.checkout.sessions.retrieve(sessionId));
    if (session.status === "open") throw stripeFailure(error);
  }
}

function urlOf(session: Stripe.Checkout.Session): string {
  if (session.url) return session.url;
  throw new ApiError("unavailable", undefined, { cause: `open Checkout Session ${session.id} has no URL` });
}
