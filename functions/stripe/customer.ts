import type Stripe from "stripe";
import { ApiError } from "../../contract/errors";
import type { Caller } from "../lib/identity";
import type { UserRows } from "../tables/userRows";
import { allFromStripe, fromStripe, idempotencyKey, isServerError } from "./client";

/**
 * Returns the id of the caller's Stripe customer. Creates one and links it to the row if necessary. If a request stops
 * halfway, the next one finds the same customer: for a day by the idempotency key, later by e-mail and metadata.
 *
 * @throws ApiError `unavailable` when Stripe or the table does not answer
 */
export async function ensureStripeCustomer(
  caller: Caller,
  { stripe, rows, owner }: { stripe: Stripe; rows: Pick<UserRows, "get" | "link">; owner: string },
): Promise<string> {
  const { userId } = caller;
  const known = (await rows.get(userId))?.stripe_customer_id;
  if (known && !(await fromStripe("customer", stripe.customers.retrieve(known))).deleted) return known;

  const own = (await findUnlinked(stripe, caller, owner)) ?? (await create(stripe, caller, owner, known ?? "first"));
  const linked = await rows.link(userId, own, new Date(), known);
  if (!linked) throw new ApiError("unavailable", undefined, { cause: "the customer could not be linked" });
  return linked;
}

/** Finds a customer that an earlier request created but did not link. */
async function findUnlinked(stripe: Stripe, { userId, email }: Caller, owner: string): Promise<string | undefined> {
  if (!email) return undefined;
  const sameEmail = await allFromStripe(stripe.customers.list({ email, limit: 100 }), 100);
  return sameEmail.find(({ metadata }) => metadata.user_id === userId && metadata.owner === owner)?.id;
}

/** @param occasion part of the idempotency key, so that the answer for a deleted customer is not replayed */
async function create(stripe: Stripe, caller: Caller, owner: string, occasion: string): Promise<string> {
  const { userId, email } = caller;
  const params: Stripe.CustomerCreateParams = {
    ...(email && { email }),
    preferred_locales: ["ja"],
    metadata: { user_id: userId, owner },
  };
  const attempt = async (occasion: string) => {
    const options = { idempotencyKey: idempotencyKey(["customer", owner, userId, occasion], params) };
    return (await fromStripe("customer", stripe.customers.create(params, options))).id;
  };
  return attempt(occasion).catch(async (error: unknown) => {
    // After a server error, Stripe replays that error for a day under the same idempotency key. The next attempt
    // therefore uses another key.
    if (!isServerError(error)) throw error;
    return (await findUnlinked(stripe, caller, owner)) ?? attempt(`${occasion}, again`);
  });
}
