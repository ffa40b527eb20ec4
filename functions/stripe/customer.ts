import type Stripe from "stripe";
import { ApiError } from "../../contract/errors";
import type { Caller } from "../lib/identity";
import type { UserRows } from "../tables/userRows";
import { allFromStripe, fromStripe, isServerError } from "./client";
import { idempotencyKey } from "./idempotencyKey";

/**
 * The caller's one customer object at Stripe: the row's, or a new one that the row then names. Stopped between any two
 * steps it finds its own customer again: for a day by the idempotency key, later by e-mail and metadata.
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

  const own = (await findOwn(stripe, caller, owner)) ?? (await create(stripe, caller, owner, known ?? "first"));
  const linked = await rows.link(userId, own, new Date(), known);
  if (!linked) throw new ApiError("unavailable", undefined, { cause: "the customer could not be linked" });
  return linked;
}

/** A customer that an earlier request has made and could not link. */
async function findOwn(stripe: Stripe, { userId, email }: Caller, owner: string): Promise<string | undefined> {
  if (!email) return undefined;
  const sameEmail = await allFromStripe(stripe.customers.list({ email, limit: 100 }), 100);
  return sameEmail.find(({ metadata }) => metadata.user_id === userId && metadata.owner === owner)?.id;
}

/** @param occasion why one is made, so that a deleted customer's answer is not replayed */
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
    // Stripe keeps a failure of its own under the key for a day.
    if (!isServerError(error)) throw error;
    return (await findOwn(stripe, caller, owner)) ?? attempt(`${occasion}, again`);
  });
}
