import Stripe from "stripe";
import * as z from "zod/mini";
import { webhookEvents } from "../../stripe/events";

/**
 * The parts of an event that we use: its identity and its subject. All other content is ignored, because the sync reads
 * Stripe.
 */
export interface StripeEvent {
  id: string;
  type: string;
  livemode: boolean;
  /** Unix seconds. */
  created: number;
  /** The connected account (`acct_…`) that the event is about; absent for an event of our own account. */
  account?: string;
  /** API version of the payload; absent in a thin event. */
  apiVersion?: string;
  /** The subject: Stripe's object type, its id if it has one, and the related ids. */
  subject: { object: string; id?: string; customer?: string; charge?: string; userId?: string; owner?: string };
}

/** The id of an object. For an expanded field, Stripe sends the whole object. */
const Reference = z.pipe(
  z.union([z.string(), z.object({ id: z.string() })]),
  z.transform((reference) => (typeof reference === "string" ? reference : reference.id)),
);

const Snapshot = z.object({
  object: z.literal("event"),
  id: z.string(),
  type: z.string(),
  livemode: z.boolean(),
  created: z.int(),
  api_version: z.optional(z.nullable(z.string())),
  account: z.optional(z.nullable(z.string())),
  data: z.object({
    object: z.object({
      object: z.string(),
      // A balance or an upcoming invoice has no id. Stripe sends their events only to endpoints that an operator
      // registered by hand for all events.
      id: z.optional(z.string()),
      customer: z.optional(z.nullable(Reference)),
      charge: z.optional(z.nullable(Reference)),
      metadata: z.optional(z.nullable(z.record(z.string(), z.string()))),
    }),
  }),
});

/** A thin event names its object and carries no data. */
const Thin = z.object({
  object: z.literal("v2.core.event"),
  id: z.string(),
  type: z.string(),
  livemode: z.boolean(),
  created: z.iso.datetime({ offset: true }),
  /** Account of the event's object, unless this is our own account. */
  context: z.optional(z.nullable(z.string())),
  related_object: z.optional(z.nullable(z.object({ id: z.string(), type: z.string() }))),
});

/** Maximum time by which a signature may be in the future, because our clock may be slow. */
const MOST_AHEAD_SECONDS = 60;
/** Stripe's default. The value 0 would turn the check off. */
const TOLERANCE_SECONDS = 300;

/**
 * Verifies a webhook signature. Any of the secrets may match, because two secrets are in use during a rotation.
 *
 * @param body the raw body, not parsed
 * @returns false when no secret matches, or the timestamp is too old or in the future
 */
export function isSigned(body: string, signature: string, secrets: string[], now: Date): boolean {
  // stripe-node rejects old timestamps but accepts timestamps in the future.
  const latest = now.getTime() / 1000 + MOST_AHEAD_SECONDS;
  const times = [...signature.matchAll(/(?:^|,)\s*t=([^,]*)/g)].map(([, time = ""]) => time);
  if (times.some((time) => !/^\d+$/.test(time) || Number(time) > latest)) return false;
  return secrets.some((secret) => {
    try {
      const { webhooks } = Stripe;
      return webhooks.signature?.verifyHeader(body, signature, secret, TOLERANCE_SECONDS, undefined, now.getTime());
    } catch {
      return false;
    }
  });
}

/** Parses a snapshot or thin event, from a webhook or from Stripe's event list. Undefined for anything else. */
export function parseEvent(body: unknown): StripeEvent | undefined {
  const snapshot = Snapshot.safeParse(body);
  if (snapshot.success) return fromSnapshot(snapshot.data);
  const thin = Thin.safeParse(body);
  if (!thin.success) return undefined;
  const { id, type, livemode, created, context, related_object } = thin.data;
  return {
    id,
    type: type.replace(/^v1\./, ""),
    livemode,
    created: Math.floor(Date.parse(created) / 1000),
    ...(context && { account: context }),
    subject: related_object
      ? { object: related_object.type.replace(/^v1\./, ""), id: related_object.id }
      : { object: "none" },
  };
}

/**
 * Whether an event can change a plan. We sell only in our own account, so an event of a connected account cannot. Our
 * key cannot read the objects of a connected account either.
 */
export function matters({ type, account }: Partial<StripeEvent>): boolean {
  return account === undefined && webhookEvents.some((known) => known === type);
}

/** The Stripe customer that an event names. Undefined when only a read of the event's object can tell the customer. */
export function namedCustomer({ object, id, customer }: StripeEvent["subject"]): string | undefined {
  return object === "customer" ? id : customer;
}

function fromSnapshot({
  id,
  type,
  livemode,
  created,
  api_version,
  account,
  data,
}: z.infer<typeof Snapshot>): StripeEvent {
  const { object, id: subjectId, customer, charge, metadata } = data.object;
  return {
    id,
    type,
    livemode,
    created,
    ...(api_version && { apiVersion: api_version }),
    ...(account && { account }),
    subject: {
      object,
      ...(subjectId && { id: subjectId }),
      ...(customer && { customer }),
      ...(charge && { charge }),
      ...(metadata?.user_id && { userId: metadata.user_id }),
      ...(metadata?.owner && { owner: metadata.owner }),
    },
  };
}
