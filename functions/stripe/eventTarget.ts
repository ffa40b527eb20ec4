import type Stripe from "stripe";
import type { UserRows } from "../tables/userRows";
import { fromStripe } from "./client";
import type { StripeEvent } from "./event";

/** The user an event concerns. */
export type EventTarget =
  | { userId: string; stripeCustomerId: string }
  /** Belongs to another stack or product that shares the Stripe account. */
  | "foreign";

/** Dependencies of the lookup. */
export interface TargetSources {
  stripe: Stripe;
  rows: Pick<UserRows, "findByStripeCustomer">;
  /** This stack's owner tag, as stored in customers' metadata. */
  owner: string;
}

/**
 * Finds the user that an event concerns: by the metadata of the event's object, then of its customer, then by the
 * table's index. A subscription's metadata comes first because it survives the deletion of the customer.
 *
 * @throws ApiError `unavailable` when Stripe or the table does not answer
 */
export async function findTarget(event: StripeEvent, { stripe, rows, owner }: TargetSources): Promise<EventTarget> {
  const { subject } = event;
  if (subject.owner !== undefined && subject.owner !== owner) return "foreign";
  const stripeCustomerId = await customerOf(event, stripe);
  if (!stripeCustomerId) return "foreign";
  if (subject.userId && subject.owner) return { userId: subject.userId, stripeCustomerId };

  const customer = await fromStripe("customer", stripe.customers.retrieve(stripeCustomerId));
  const metadata = customer.deleted ? {} : customer.metadata;
  if (metadata.owner !== undefined && metadata.owner !== owner) return "foreign";
  const userId = metadata.user_id ?? (await rows.findByStripeCustomer(stripeCustomerId));
  return userId ? { userId, stripeCustomerId } : "foreign";
}

/**
 * Whether a Stripe customer may belong to a user: the customer's metadata names no other user and no other owner.
 *
 * @throws ApiError `unavailable` when Stripe does not answer or does not know the customer
 */
export async function mayBelongToUser(
  { userId, stripeCustomerId }: Exclude<EventTarget, "foreign">,
  { stripe, owner }: Pick<TargetSources, "stripe" | "owner">,
): Promise<boolean> {
  const customer = await fromStripe("customer", stripe.customers.retrieve(stripeCustomerId));
  const { user_id = userId, owner: theirOwner = owner } = customer.deleted ? {} : customer.metadata;
  return user_id === userId && theirOwner === owner;
}

/** The Stripe customer that the event's object belongs to, or undefined. */
async function customerOf({ subject }: StripeEvent, stripe: Stripe): Promise<string | undefined> {
  if (subject.object === "customer") return subject.id;
  if (subject.customer) return subject.customer;
  if (subject.charge) return idOf((await fromStripe("charge", stripe.charges.retrieve(subject.charge))).customer);
  if (!subject.id) return undefined;
  // A thin event contains only the id of its object, so this fetches the object to learn its customer.
  switch (subject.object) {
    case "customer.subscription":
    case "subscription":
      return idOf((await fromStripe("subscription", stripe.subscriptions.retrieve(subject.id))).customer);
    case "invoice":
      return idOf((await fromStripe("invoice", stripe.invoices.retrieve(subject.id))).customer);
    case "charge":
      return idOf((await fromStripe("charge", stripe.charges.retrieve(subject.id))).customer);
    case "checkout.session":
      return idOf((await fromStripe("checkout.session", stripe.checkout.sessions.retrieve(subject.id))).customer);
    case "dispute": {
      const dispute = await fromStripe("dispute", stripe.disputes.retrieve(subject.id, { expand: ["charge"] }));
      return typeof dispute.charge === "string" ? undefined : idOf(dispute.charge.customer);
    }
    default:
      return undefined;
  }
}

function idOf(reference: string | { id: string } | null | undefined): string | undefined {
  return typeof reference === "string" ? reference : reference?.id;
}
