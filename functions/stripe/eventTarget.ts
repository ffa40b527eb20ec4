import type Stripe from "stripe";
import type { UserRows } from "../tables/userRows";
import { findAtStripe } from "./client";
import { alarmTwoUsers } from "./customer";
import { namedCustomer, type StripeEvent } from "./event";

/** The user an event concerns. */
export type EventTarget =
  | { userId: string; stripeCustomerId: string }
  /** Belongs to another stack or product that shares the Stripe account. */
  | "foreign"
  /** Stripe does not know the event's customer or object. The key belongs to another account or mode than the event. */
  | "unknown";

/** Dependencies of the lookup. */
export interface TargetSources {
  stripe: Stripe;
  rows: Pick<UserRows, "findByStripeCustomer">;
  /** This stack's owner tag, as stored in customers' metadata. */
  owner: string;
}

/**
 * Finds the user that an event concerns. The first of these counts:
 *
 * - the row that is linked to the event's Stripe customer. It comes before all metadata, because metadata can be edited
 * - the user id in the metadata of the event's object. A subscription keeps its metadata when the customer is deleted
 * - the user id in the customer's metadata
 *
 * @throws ApiError `unavailable` when Stripe or the table does not answer
 */
export async function findTarget(event: StripeEvent, { stripe, rows, owner }: TargetSources): Promise<EventTarget> {
  const { subject } = event;
  if (subject.owner !== undefined && subject.owner !== owner) return "foreign";
  const stripeCustomerId = await customerOf(event, stripe);
  if (stripeCustomerId === undefined) return "unknown";
  if (stripeCustomerId === null) return "foreign";
  const claimed = subject.owner ? subject.userId : undefined;
  const linked = await rows.findByStripeCustomer(stripeCustomerId);
  if (linked && claimed && linked !== claimed) alarmTwoUsers(stripeCustomerId);
  const userId = linked ?? claimed;
  if (userId) return { userId, stripeCustomerId };

  const customer = await findAtStripe("customer", stripe.customers.retrieve(stripeCustomerId));
  if (!customer) return "unknown";
  const metadata = customer.deleted ? {} : customer.metadata;
  if (metadata.owner !== undefined && metadata.owner !== owner) return "foreign";
  return metadata.user_id ? { userId: metadata.user_id, stripeCustomerId } : "foreign";
}

/**
 * Whether a Stripe customer can belong to a user: Stripe knows the customer, and its metadata names no other user and
 * no other owner.
 *
 * @throws ApiError `unavailable` when Stripe does not answer
 */
export async function mayBelongToUser(
  { userId, stripeCustomerId }: Exclude<EventTarget, string>,
  { stripe, owner }: Pick<TargetSources, "stripe" | "owner">,
): Promise<boolean> {
  const customer = await findAtStripe("customer", stripe.customers.retrieve(stripeCustomerId));
  if (!customer) return false;
  const { user_id = userId, owner: theirOwner = owner } = customer.deleted ? {} : customer.metadata;
  return user_id === userId && theirOwner === owner;
}

/**
 * The Stripe customer that the event's object belongs to. Null when the object has none. Undefined when Stripe does not
 * know the object.
 */
async function customerOf({ subject }: StripeEvent, stripe: Stripe): Promise<string | null | undefined> {
  const named = namedCustomer(subject);
  if (named !== undefined) return named;
  if (subject.charge) return ownerOf(await findAtStripe("charge", stripe.charges.retrieve(subject.charge)));
  if (!subject.id) return null;
  const { id } = subject;
  // A thin event contains only the id of its object. So this code reads the object to find the customer.
  switch (subject.object) {
    case "customer.subscription":
    case "subscription":
      return ownerOf(await findAtStripe("subscription", stripe.subscriptions.retrieve(id)));
    case "invoice":
      return ownerOf(await findAtStripe("invoice", stripe.invoices.retrieve(id)));
    case "charge":
      return ownerOf(await findAtStripe("charge", stripe.charges.retrieve(id)));
    case "checkout.session":
      return ownerOf(await findAtStripe("checkout.session", stripe.checkout.sessions.retrieve(id)));
    case "dispute": {
      const dispute = await findAtStripe("dispute", stripe.disputes.retrieve(id, { expand: ["charge"] }));
      return dispute && (typeof dispute.charge === "string" ? null : ownerOf(dispute.charge));
    }
    default:
      return null;
  }
}

function ownerOf(
  object: { customer?: string | { id: string } | null | undefined } | undefined,
): string | null | undefined {
  if (!object) return undefined;
  return typeof object.customer === "string" ? object.customer : (object.customer?.id ?? null);
}
