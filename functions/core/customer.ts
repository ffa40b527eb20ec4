import * as z from "zod/mini";
import { Plan } from "../../contract/plan";

/** Unix seconds, as Stripe gives them. */
const Seconds = z.int();

/** What Stripe says of one subscription, in Stripe's own words. */
export const SubscriptionFacts = z.object({
  id: z.string(),
  /** An open set: Stripe adds to it. */
  status: z.string(),
  created: Seconds,
  price_ids: z.array(z.string()),
  /** Of its items: Stripe rolls them to the next period before that is paid. */
  period_start: z.nullable(Seconds),
  period_end: z.nullable(Seconds),
  trial_end: z.nullable(Seconds),
  /** A scheduled cancel has either of two forms: the portal sets the first, older code the second. */
  cancel_at: z.nullable(Seconds),
  cancel_at_period_end: z.boolean(),
  collection_paused: z.boolean(),
  /** When the oldest invoice that is still open was made. */
  unpaid_since: z.nullable(Seconds),
  /** Whether that invoice is the first one, or the first after a trial: nothing has ever been paid. */
  unpaid_first: z.boolean(),
});
export type SubscriptionFacts = z.infer<typeof SubscriptionFacts>;

/** A payment that the customer has disputed at their bank. */
export const DisputeFacts = z.object({
  id: z.string(),
  /** An open set: Stripe adds to it. */
  status: z.string(),
  created: Seconds,
});
export type DisputeFacts = z.infer<typeof DisputeFacts>;

/** What a subscription's prices stood for when that was last known. Not of Stripe: it is what the row remembers. */
const KnownPlan = z.object({ plan: Plan, price_ids: z.array(z.string()) });
export type KnownPlan = z.infer<typeof KnownPlan>;

/** Everything a plan follows from, as Stripe has it at one moment. */
export const StripeFacts = z.object({
  /** Those that live, and the last one that ended. Newest first. */
  subscriptions: z.array(SubscriptionFacts),
  disputes: z.array(DisputeFacts),
  /** The customer object is deleted; the next purchase needs a new one. */
  customer_deleted: z.boolean(),
  /**
   * How far ahead of us the customer's time is: not 0 only for customers on one of Stripe's test clocks, whose deadlines
   * lie in that clock's time.
   */
  clock_ahead_seconds: z.int(),
});
export type StripeFacts = z.infer<typeof StripeFacts>;

/**
 * What is known about a customer: their row. It stores facts; the plan is worked out when it is read. `plan`,
 * `expires_at` and `stripe_status` are in the row too, for whoever looks at the table, and are never read back.
 */
export const Customer = z.object({
  user_id: z.string(),
  stripe_customer_id: z.optional(z.string()),
  ...z.partial(StripeFacts).shape,
  /** By subscription id. Only ever added to: a sync that knows nothing of one leaves what an earlier has known. */
  known_plans: z.optional(z.record(z.string(), KnownPlan)),
  /** A plan given by an operator, whatever Stripe says. The sync never writes it. */
  grant_plan: z.optional(Plan),
  /** ISO 8601; a grant without one does not end. */
  grant_expires_at: z.optional(z.iso.datetime()),
  /** When something under way at Stripe, such as a Checkout Session, must be over and is looked at again, ISO 8601. */
  review_by: z.optional(z.iso.datetime()),
  /** When the facts were last read from Stripe, ISO 8601. */
  synced_at: z.optional(z.iso.datetime()),
  /** When the row was last written, ISO 8601. */
  updated_at: z.optional(z.iso.datetime()),
});
export type Customer = z.infer<typeof Customer>;
