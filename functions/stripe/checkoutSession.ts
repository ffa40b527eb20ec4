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
import { allFromStripe, fromStripe, isServerError, stripeFailure } from "./client";
import { ensureStripeCustomer } from "./customer";
import { idempotencyKey } from "./idempotencyKey";

/** What a customer wants to buy, and where they come back to. */
export interface Purchase {
  plan: PaidPlan;
  priceId: string;
  returnUrl: string;
}

/** What opening a Checkout Session needs. */
export interface CheckoutSources {
  stripe: Stripe;
  billing: Billing;
  attempts: CheckoutAttempts;
  /** `snack-misaki/<stack>`, for the metadata. */
  owner: string;
}

/** Stripe allows 30 minutes to a day. */
const SESSION_SECONDS = 3600;
/** A session with less time left is not handed out any more: paying takes a while. */
const LEAST_SECONDS = 900;
/** Each round is lost only to another request that has got further. */
const ROUNDS = 5;

/**
 * The URL of the caller's one open Checkout Session, made if there is none.
 *
 * There is no lock, which a process could lose and not notice. Requests agree on an attempt by a conditional write, and
 * whatever makes the attempt's session sends the same parameters under the same idempotency key, so that Stripe makes one.
 * A session of any other attempt is expired before; one that turns out late is expired before anybody has seen it. What
 * has been paid is looked for after that: a session that was not open any more has left its subscription behind.
 *
 * @throws ApiError `already_subscribed`, `checkout_refused`, or `unavailable`: then nothing can be paid twice either
 */
export async function openCheckoutSession(
  caller: Caller,
  purchase: Purchase,
  { stripe, billing, attempts, owner }: CheckoutSources,
): Promise<string> {
  const { userId } = caller;
  for (let round = 0; round < ROUNDS; round++) {
    const customer = await ensureStripeCustomer(caller, { stripe, rows: billing.rows, owner });
    const attempt = await agree(userId, purchase, attempts);
    if (!attempt) continue;
    const next = () => attempts.start(userId, newAttempt(purchase, new Date()), attempt, new Date());

    const open = await allFromStripe(stripe.checkout.sessions.list({ customer, status: "open", limit: 100 }), 100);
    const own = open.find(({ metadata }) => metadata?.attempt === attempt.id);
    for (const other of open) if (other !== own) await expire(stripe, other.id);
    await refuseSecond(userId, billing, attempt, own !== undefined);

    const session =
      own ??
      (await create(stripe, userId, customer, attempt, owner).catch(async (error: unknown) => {
        // Stripe keeps a failure of its own under the key for a day. Should the session be there, the next round sees it.
        if (isServerError(error)) await next();
        throw error;
      }));
    if (session && (await attempts.handOut(userId, attempt, session.id))) return urlOf(session);
    if (session) await expire(stripe, session.id);
    // Paid, or given up, and the subscription has ended since: the next purchase is another attempt.
    else await next();
  }
  throw new ApiError("unavailable", undefined, { cause: "too many requests for a checkout at once" });
}

/** The attempt under way if it is for this purchase, or a new one in its place; undefined when someone else was faster. */
async function agree(
  userId: string,
  purchase: Purchase,
  attempts: CheckoutAttempts,
): Promise<CheckoutAttempt | undefined> {
  const now = new Date();
  const current = await attempts.current(userId, now);
  if (current && isFor(current, purchase) && current.expires_at - now.getTime() / 1000 >= LEAST_SECONDS) return current;
  const attempt = newAttempt(purchase, now);
  return (await attempts.start(userId, attempt, current, now)) ? attempt : undefined;
}

function newAttempt({ plan, priceId, returnUrl }: Purchase, now: Date): CheckoutAttempt {
  const expires_at = Math.floor(now.getTime() / 1000) + SESSION_SECONDS;
  return { id: randomUUID(), plan, price_id: priceId, return_url: returnUrl, expires_at };
}

function isFor(attempt: CheckoutAttempt, { plan, priceId, returnUrl }: Purchase): boolean {
  return attempt.plan === plan && attempt.price_id === priceId && attempt.return_url === returnUrl;
}

/** @param isOpen whether the attempt has its session, so that nothing new is made by handing it out again */
async function refuseSecond(
  userId: string,
  billing: Billing,
  attempt: CheckoutAttempt,
  isOpen: boolean,
): Promise<void> {
  // The reconciler looks once the session is over: it may be paid and nobody tell us.
  const reviewBy = new Date((attempt.expires_at + 60) * 1000);
  const { customer } = await billing.sync(userId, { reviewBy });
  if (customer.disputes?.some(isOpenDispute)) throw new ApiError("checkout_refused");
  // Checkout makes the subscription when a payment is tried first: whose card was declined finds their page again.
  const isInTheWay = (one: SubscriptionFacts) => isLive(one) && !(isOpen && one.status === "incomplete");
  if (customer.subscriptions?.some(isInTheWay)) throw new ApiError("already_subscribed");
}

/** Makes the attempt's session; undefined when it was made before and is not open any more. */
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
  // A replayed answer is as old as the session.
  const session = await fromStripe("checkout.session", stripe.checkout.sessions.retrieve(made.id));
  return session.status === "open" ? session : undefined;
}

/** Makes sure that a session cannot be paid any more; it may have been paid just now. */
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
  throw new ApiError("unavailable", undefined, { cause: `Checkout Session ${session.id} is open and has no URL` });
}
