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

/**
 * Why a customer has the plan they have: nothing is known of them, they have no plan of their own, an operator granted
 * one, or granted one that has ended.
 */
const PlanReason = z.enum(["no_record", "no_plan", "grant", "grant_expired"]);

/** Answer of `GET /billing/plan`. Times are ISO 8601 in UTC. */
export const PlanResponse = z.object({
  user_id: z.string(),
  plan: Plan,
  /** Stripe's own status of the subscription, or null without one. */
  stripe_status: z.nullable(z.string()),
  expires_at: z.nullable(z.iso.datetime()),
  updated_at: z.nullable(z.iso.datetime()),
  reason: PlanReason,
  limits: Limits,
});
export type PlanResponse = z.infer<typeof PlanResponse>;
