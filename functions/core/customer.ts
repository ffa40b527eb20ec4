import * as z from "zod/mini";
import { Plan } from "../../contract/plan";

/** Unix seconds, as Stripe gives them. */
const Seconds = z.int();

/** A price that the customer has paid for. */
const PaidPrice = z.object({
  price_id: z.string(),
  /** Creation time of the paid invoice. */
  invoiced: Seconds,
  /** End of the paid period. */
  until: Seconds,
});
export type PaidPrice = z.infer<typeof PaidPrice>;

/**
 * One price of a subscription, with its billing period. The prices of one subscription can have different periods: an
 * add-on may renew every week.
 */
const SubscriptionItem = z.object({ price_id: z.string(), period_start: Seconds, period_end: Seconds });

/** One subscription's facts, in Stripe's own terms. */
export const SubscriptionFacts = z.object({
  id: z.string(),
  /** A text and not an enum, because Stripe adds new values over time. */
  status: z.string(),
  created: Seconds,
  price_ids: z.array(z.string()),
  /**
   * Earliest start and end of the items' billing periods. Stripe starts the next period before it is paid.
   */
  period_start: z.nullable(Seconds),
  period_end: z.nullable(Seconds),
  /** Missing in rows of an earlier version. */
  items: z.optional(z.array(SubscriptionItem)),
  trial_end: z.nullable(Seconds),
  /**
   * A scheduled cancellation has one of two forms: the portal sets `cancel_at`, older code sets `cancel_at_period_end`.
   */
  cancel_at: z.nullable(Seconds),
  cancel_at_period_end: z.boolean(),
  collection_paused: z.boolean(),
  /** Earliest due date of the open invoices. An invoice without a due date is due when it is created. */
  unpaid_since: z.nullable(Seconds),
  /**
   * Whether the customer has never paid for this subscription and a payment failed. This is the first payment, or the
   * first payment after a trial.
   */
  unpaid_first: z.boolean(),
  /**
   * Invoices that the customer has paid for this subscription, newest first. Includes periods that a 100 % coupon made
   * free, and invoices paid outside of Stripe. Missing when the subscription is neither overdue nor paused. Also missing
   * in rows of an earlier version.
   */
  paid: z.optional(z.array(PaidPrice)),
});
export type SubscriptionFacts = z.infer<typeof SubscriptionFacts>;

/** A payment that the customer disputed at their bank. */
export const DisputeFacts = z.object({
  id: z.string(),
  /** A text and not an enum, because Stripe adds new values over time. */
  status: z.string(),
  created: Seconds,
});
export type DisputeFacts = z.infer<typeof DisputeFacts>;

/**
 * The plan that the configuration most recently assigned to a subscription's prices. Only the row stores this plan,
 * because Stripe does not know our plans.
 */
const KnownPlan = z.object({ plan: Plan, price_ids: z.array(z.string()) });
export type KnownPlan = z.infer<typeof KnownPlan>;

/** Everything that decides a plan, read from Stripe at one moment. */
export const StripeFacts = z.object({
  /** All live subscriptions and the subscription that ended most recently, newest first. */
  subscriptions: z.array(SubscriptionFacts),
  disputes: z.array(DisputeFacts),
  /** The customer is deleted at Stripe. The next purchase needs a new Stripe customer. */
  customer_deleted: z.boolean(),
  /** Seconds that the customer's Stripe test clock is ahead of our clock. 0 for customers without a test clock. */
  clock_ahead_seconds: z.int(),
});
export type StripeFacts = z.infer<typeof StripeFacts>;

/**
 * A customer's row. It stores facts; every reader computes the plan from them. The attributes `plan`, `expires_at` and
 * `stripe_status` are only for people who look at the table. Code never reads them.
 */
export const Customer = z.object({
  user_id: z.string(),
  stripe_customer_id: z.optional(z.string()),
  ...z.partial(StripeFacts).shape,
  /** Known plans by subscription id. A sync adds or updates entries and never removes one. */
  known_plans: z.optional(z.record(z.string(), KnownPlan)),
  /** A plan granted by an operator, independent of Stripe. The sync never writes it. */
  grant_plan: z.optional(Plan),
  /** ISO 8601. A grant without this time never expires. */
  grant_expires_at: z.optional(z.iso.datetime()),
  /**
   * ISO 8601. Latest end of a pending step at Stripe, such as a Checkout Session. The reconciler then reviews the row.
   */
  review_by: z.optional(z.iso.datetime()),
  /** ISO 8601. Time of the most recent read of the facts from Stripe. */
  synced_at: z.optional(z.iso.datetime()),
  /** ISO 8601. Time of the most recent write of the row. */
  updated_at: z.optional(z.iso.datetime()),
});
export type Customer = z.infer<typeof Customer>;
