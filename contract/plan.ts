import * as z from "zod/mini";

/** The plans, lowest first. */
const plans = ["free", "paid", "vip"] as const;

/** A customer's plan. */
export const Plan = z.enum(plans);
export type Plan = z.infer<typeof Plan>;

/** The models this product serves on GPU workers, one RunPod endpoint each. */
export const models = ["phi3", "mistral"] as const;

/** A model with an endpoint of its own. */
export const Model = z.enum(models);
export type Model = z.infer<typeof Model>;

/** Plan that the workers of each model report as `model.plan`: the lowest plan that uses the model. */
export const modelPlans: Readonly<Record<Model, Plan>> = { phi3: "free", mistral: "paid" };

/** What one ticket allows a worker to do for its holder. */
export const Limits = z.object({
  /** Tokens of one reply. */
  max_tokens: z.int().check(z.positive()),
  /** Messages of one conversation sent at once. */
  max_messages: z.int().check(z.positive()),
  /** Characters of one message. */
  max_input_chars: z.int().check(z.positive()),
});
export type Limits = z.infer<typeof Limits>;

/** Why a customer has the plan they have. */
const PlanReason = z.enum([
  // What gives a plan.
  "subscription",
  "trial",
  /** A renewal is unpaid, and the grace period runs: `grace_until`. */
  "grace",
  /** Given by an operator. */
  "grant",
  // What does not.
  /** Nothing is known of the customer. */
  "no_record",
  /** Neither a subscription nor a grant. */
  "no_plan",
  "grant_expired",
  /** The first payment has not succeeded. */
  "incomplete",
  /** A renewal is unpaid, and the grace period is over or there was none. */
  "past_due",
  "unpaid",
  "paused",
  "canceled",
  /** A payment was disputed at the customer's bank. */
  "disputed",
  /** Stripe has a status, or the subscription a price, that this version does not know. The operator is told. */
  "unknown_status",
  "unknown_price",
  /** The paid period is long over and nothing newer could be read from Stripe. */
  "outdated",
]);

/** Answer of `GET /billing/plan`. Times are ISO 8601 in UTC. */
export const PlanResponse = z.object({
  user_id: z.string(),
  plan: Plan,
  /** Stripe's own status of the subscription, or null without one. */
  stripe_status: z.nullable(z.string()),
  expires_at: z.nullable(z.iso.datetime()),
  updated_at: z.nullable(z.iso.datetime()),
  reason: PlanReason,
  /** An unpaid renewal ends the plan then. */
  grace_until: z.optional(z.iso.datetime()),
  /** The customer has cancelled; the plan ends then. */
  cancel_at: z.optional(z.iso.datetime()),
  limits: Limits,
});
export type PlanResponse = z.infer<typeof PlanResponse>;

/** The plans that are sold. */
export const PaidPlan = z.enum(["paid", "vip"]);
export type PaidPlan = z.infer<typeof PaidPlan>;

/** Body of `POST /billing/checkout`. */
export const CheckoutRequest = z.strictObject({ plan: PaidPlan });

/** Answer of `POST /billing/checkout` and `POST /billing/portal`: the page of Stripe to go to. */
export const RedirectResponse = z.object({ url: z.url() });
export type RedirectResponse = z.infer<typeof RedirectResponse>;
