import type Stripe from "stripe";
import { ApiError } from "../../contract/errors";
import { raiseAlarm } from "../lib/alarms";
import type { Caller } from "../lib/identity";
import type { UserRows } from "../tables/userRows";
import { allFromStripe, findAtStripe, fromStripe, idempotencyKey, needsNewIdempotencyKey } from "./client";

/** Dependencies of the functions in this file. */
interface CustomerSources {
  stripe: Stripe;
  rows: Pick<UserRows, "get" | "link" | "creationAttempt" | "findByStripeCustomer">;
  /** This stack's owner tag, as stored in customers' metadata. */
  owner: string;
}

/**
 * Returns the id of the caller's Stripe customer. If the row has none, finds or creates a customer and links it to the
 * row. This also applies when Stripe has deleted or does not know the row's customer. If a request stops halfway, the
 * next request finds the same customer: for a day by the idempotency key, later by e-mail and metadata.
 *
 * @throws ApiError `unavailable` when Stripe or the table does not answer
 */
export async function ensureStripeCustomer(caller: Caller, sources: CustomerSources): Promise<string> {
  const { stripe, rows } = sources;
  const known = (await rows.get(caller.userId))?.stripe_customer_id;
  if (known && (await isUsable(stripe, known))) return known;
  const own = (await findUnlinked(caller, sources)) ?? (await create(caller, sources, known));
  const linked = await rows.link(caller.userId, own, new Date(), known);
  if (linked) return linked;
  alarmTwoUsers(own);
  throw new ApiError("unavailable", undefined, { cause: `Stripe customer ${own} belongs to another user` });
}

/**
 * Links the row to another Stripe customer with the user's e-mail address and id. For a row whose customer Stripe does
 * not know. Creates no customer.
 *
 * @returns whether another customer was found
 * @throws ApiError `unavailable` when Stripe or the table does not answer
 */
export async function relinkStripeCustomer(
  caller: Caller,
  unknown: string,
  sources: CustomerSources,
): Promise<boolean> {
  const found = await findUnlinked(caller, sources);
  return found !== undefined && (await sources.rows.link(caller.userId, found, new Date(), unknown)) === found;
}

/**
 * Whether Stripe knows a customer and has not deleted it.
 *
 * @throws ApiError `unavailable` when Stripe does not answer
 */
async function isUsable(stripe: Stripe, customerId: string): Promise<boolean> {
  const customer = await findAtStripe("customer", stripe.customers.retrieve(customerId));
  if (!customer) raiseAlarm("unknown_customer", { customer: customerId });
  return customer !== undefined && !customer.deleted;
}

/**
 * Finds a customer that an earlier request created but did not link. Skips a customer that is linked to another user,
 * because somebody has edited the metadata of that customer.
 */
async function findUnlinked(
  { userId, email }: Caller,
  { stripe, rows, owner }: CustomerSources,
): Promise<string | undefined> {
  if (!email) return undefined;
  const sameEmail = await allFromStripe(stripe.customers.list({ email, limit: 100 }));
  const own = sameEmail.filter(({ metadata }) => metadata.user_id === userId && metadata.owner === owner);
  for (const { id } of own) {
    const linked = await rows.findByStripeCustomer(id);
    if (linked === undefined || linked === userId) return id;
    alarmTwoUsers(id);
  }
  return undefined;
}

/** Reports a Stripe customer whose metadata names another user than the row that is linked to the customer. */
export function alarmTwoUsers(customer: string): void {
  raiseAlarm("customer_of_two_users", { customer });
}

/**
 * Creates a customer. After a server error, Stripe replays that error for a day under the same idempotency key.
 * Therefore the call is repeated once with a new key.
 *
 * @param replaced the customer that the row had before; part of the key
 */
async function create(caller: Caller, sources: CustomerSources, replaced: string | undefined): Promise<string> {
  const { stripe, rows, owner } = sources;
  const { userId, email } = caller;
  const params: Stripe.CustomerCreateParams = {
    ...(email && { email }),
    preferred_locales: ["ja"],
    metadata: { user_id: userId, owner },
  };
  const createOnce = async (attempt: string) => {
    const purpose = ["customer", owner, userId, replaced ?? "first", attempt];
    const options = { idempotencyKey: idempotencyKey(purpose, params) };
    return (await fromStripe("customer", stripe.customers.create(params, options))).id;
  };
  const attempt = await rows.creationAttempt(userId, new Date());
  return createOnce(attempt).catch(async (error: unknown) => {
    if (!needsNewIdempotencyKey(error)) throw error;
    const next = await rows.creationAttempt(userId, new Date(), attempt);
    // Stripe may have created the customer in spite of the error.
    return (await findUnlinked(caller, sources)) ?? createOnce(next);
  });
}
