import type Stripe from "stripe";
import type { UserRows } from "../tables/userRows";
import { fromStripe } from "./client";
import type { StripeEvent } from "./event";

/** Whom an event is about. */
export type EventTarget =
  | { userId: string; stripeCustomerId: string }
  /** Another stack's, or another product's of the same Stripe account. */
  | "foreign";

/** What finding it needs. */
export interface TargetSources {
  stripe: Stripe;
  rows: Pick<UserRows, "findByStripeCustomer">;
  /** Ours, as it stands in the metadata of every customer. */
  owner: string;
}

/**
 * Finds the user an event is about: by the metadata we gave the object, then its customer, then the table's index. The
 * subscription's comes first because it survives the customer's deletion.
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
 * Whether a customer of Stripe can be a user's: Stripe knows them, and does not say that they are somebody else's.
 *
 * @throws ApiError `unavailable` when Stripe does not answer, or does not know the customer
 */
export async function isTheirs(
  { userId, stripeCustomerId }: Exclude<EventTarget, "foreign">,
  { stripe, owner }: Pick<TargetSources, "stripe" | "owner">,
): Promise<boolean> {
  const customer = await fromStripe("customer", stripe.customers.retrieve(stripeCustomerId));
  const { user_id = userId, owner: theirOwner = owner } = customer.deleted ? {} : customer.metadata;
  return user_id === userId && theirOwner === owner;
}

/** The id of the customer that an event's object belongs to; undefined for one that belongs to nobody. */
async function customerOf({ subject }: StripeEvent, stripe: Stripe): Promise<string | undefined> {
  if (subject.object === "customer") return subject.id;
  if (subject.customer) return subject.customer;
  if (subject.charge) return idOf((await fromStripe("charge", stripe.charges.retrieve(subject.charge))).customer);
  if (!subject.id) return undefined;
  // A thin event names its object and nothing else.
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
