import { randomUUID } from "node:crypto";
import Stripe from "stripe";
import { ApiError } from "../../contract/errors";
import type { PaidPlan } from "../../contract/plan";
import type { SubscriptionFacts } from "../core/customer";
import { isLive, isOpenDispute } from "../core/entitlement";
import type { Caller } from "../lib/identity";
import { withQuery } from "../lib/returnUrl";
import type { CheckoutAttempt, CheckoutAttempts } from "../tables/checkoutAttempts";
import type { Billing } from "./billing";
import { allFromStripe, fromStripe, idempotencyKey, isServerError, stripeFailure } from "./client";
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

/** Lifetime of a Checkout Session. Stripe allows 30 minutes to 24 hours. */
const SESSION_LIFETIME_SECONDS = 3600;
/** A session with less time left is not reused: paying takes a while. */
const MIN_REMAINING_SECONDS = 900;
/**
 * Maximum number of rounds in one request. A new round starts when another request has replaced the attempt, or when
 * the attempt's session is no longer open.
 */
const ROUNDS = 5;

/**
 * Returns the URL of the caller's open Checkout Session. Creates the session if necessary.
 *
 * There is no lock, because a process can lose a lock without noticing. Concurrent requests agree on one attempt by a
 * conditional write. Every request that creates the attempt's session sends the same parameters under the same
 * idempotency key, so Stripe creates one session. Sessions of other attempts are expired first. Only then is the
 * customer checked for a live subscription, because a session that was just paid has already created its subscription.
 * If another attempt has started in the meantime, the session is expired and its URL is not returned.
 *
 * @throws ApiError `already_subscribed`, `checkout_refused`, or `unavailable`; in all cases nothing can be paid twice
 */
export async function openCheckoutSession(
  caller: Caller,
  purchase: Purchase,
  { stripe, billing, attempts, owner }: CheckoutSources,
): Promise<string> {
  const { userId } = caller;
  for (let round = 0; round < ROUNDS; round++) {
    const customer = await ensureStripeCustomer(caller, { stripe, rows: billing.rows, owner });
    const attempt = await currentAttempt(userId, purchase, attempts);
    if (!attempt) continue;
    const next = () => attempts.start(userId, newAttempt(purchase, new Date()), attempt, new Date());

    const open = await allFromStripe(stripe.checkout.sessions.list({ customer, status: "open", limit: 100 }), 100);
    const own = open.find(({ metadata }) => metadata?.attempt === attempt.id);
    for (const other of open) if (other !== own) await expire(stripe, other.id);
    await refuseSecondSubscription(userId, billing, attempt, own !== undefined);

    const session =
      own ??
      (await create(stripe, userId, customer, attempt, owner).catch(async (error: unknown) => {
        // Stripe stores the server error under this idempotency key and replays it for a day, so the next try needs a
        // new attempt. If Stripe created the session in spite of the error, the next request expires it.
        if (isServerError(error)) await next();
        throw error;
      }));
    if (session && (await attempts.handOut(userId, attempt, session.id))) return urlOf(session);
    if (session) await expire(stripe, session.id);
    // The session is no longer open, and its subscription has ended. The next purchase needs a new attempt.
    else await next();
  }
  throw new ApiError("unavailable", undefined, { cause: "too many concurrent checkout requests" });
}

/**
 * Returns the current attempt if it fits this purchase, else starts a new one. Undefined when a concurrent request
 * started another attempt first.
 */
async function currentAttempt(
  userId: string,
  purchase: Purchase,
  attempts: CheckoutAttempts,
): Promise<CheckoutAttempt | undefined> {
  const now = new Date();
  const current = await attempts.current(userId, now);
  if (current && isFor(current, purchase) && current.expires_at - now.getTime() / 1000 >= MIN_REMAINING_SECONDS)
    return current;
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
 * Syncs the customer. Throws ApiError when the customer has an open dispute or a live subscription.
 *
 * @param isOpen whether the attempt's session is open; an incomplete subscription then belongs to this session
 */
async function refuseSecondSubscription(
  userId: string,
  billing: Billing,
  attempt: CheckoutAttempt,
  isOpen: boolean,
): Promise<void> {
  // The reconciler reviews the row after the session ends, in case it was paid and no event arrived.
  const reviewBy = new Date((attempt.expires_at + 60) * 1000);
  const { customer } = await billing.sync(userId, { reviewBy });
  if (customer.disputes?.some(isOpenDispute)) throw new ApiError("checkout_refused");
  // Checkout creates the subscription at the first payment attempt. After a declined card the subscription is
  // incomplete, and the customer returns to the same page.
  const blocksPurchase = (one: SubscriptionFacts) => isLive(one) && !(isOpen && one.status === "incomplete");
  if (customer.subscriptions?.some(blocksPurchase)) throw new ApiError("already_subscribed");
}

/**
 * Creates the attempt's session. Returns undefined when an earlier request created the session and it is no longer
 * open.
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

/** Expires a session, so that nobody can pay it. An error is ignored when the session was paid just before. */
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
