import * as z from "zod/mini";

/** Every plan, lowest first. */
const plans = ["free", "paid", "vip"] as const;

/** A customer's plan. */
export const Plan = z.enum(plans);
export type Plan = z.infer<typeof Plan>;

/**
 * All models, one line each: the model's name and the plans that it serves. The name is also the model's folder in
 * `images/`. When several models serve a plan, the plan's customers use the first of these models. The model's workers
 * report the first plan in its line.
 */
const servedPlans = {
  phi3: ["free"],
  // This model serves the vip plan when no external LLM answers.
  mistral: ["paid", "vip"],
} as const satisfies Record<string, readonly ["free" | "paid", ...Plan[]]>;

/** Name of a model. Each model has a RunPod endpoint. */
export type Model = keyof typeof servedPlans;

/** Every model, in the order of the list. */
export const models = Object.keys(servedPlans) as [Model, ...Model[]];

/** Schema of a model's name. */
export const Model = z.enum(models);

/** An object with one value per model. */
export function byModel<T>(create: (model: Model) => T): Record<Model, T> {
  return Object.fromEntries(models.map((model) => [model, create(model)])) as Record<Model, T>;
}

/** The plan that the workers of each model report as `model.plan`. */
export const modelPlans = byModel((model): "free" | "paid" => servedPlans[model][0]);

/** The model that serves each plan. */
export const planModels = Object.fromEntries(plans.map((plan) => [plan, firstModelOf(plan)])) as Record<Plan, Model>;

function firstModelOf(plan: Plan): Model {
  const model = models.find((model) => (servedPlans[model] as readonly Plan[]).includes(plan));
  if (!model) throw new Error(`No model serves the plan ${plan}: add it to a model in contract/plan.ts`);
  return model;
}

/** Limits that a ticket sets for its holder. */
export const Limits = z.object({
  /** Maximum number of tokens in one reply. */
  max_tokens: z.int().check(z.positive()),
  /** Maximum number of messages in one request. */
  max_messages: z.int().check(z.positive()),
  /** Maximum number of characters in one message. */
  max_input_chars: z.int().check(z.positive()),
});
export type Limits = z.infer<typeof Limits>;

/** Reason of a customer's plan. */
const PlanReason = z.enum([
  // Reasons for a paid plan:
  "subscription",
  "trial",
  /** A renewal is unpaid, but the grace period has not ended (`grace_until`). */
  "grace",
  /** An operator granted the plan. */
  "grant",
  // Other reasons:
  /** The customer has no row. */
  "no_record",
  /** The customer has neither a subscription nor a grant. */
  "no_plan",
  "grant_expired",
  /** The first payment has not succeeded. */
  "incomplete",
  /** A renewal is unpaid, and no grace period applies. */
  "past_due",
  "unpaid",
  "paused",
  "canceled",
  /** The customer disputed a payment at their bank. */
  "disputed",
  /**
   * This version of the code does not know the status or the price of the subscription. An alarm notifies the operator.
   */
  "unknown_status",
  "unknown_price",
  /** The paid period ended more than a day ago, and the row still has no facts about a later period. */
  "outdated",
]);

/** A customer's use of the relay. */
export const Usage = z.object({
  minute: z.object({ chats: z.int(), limit: z.int(), resets_at: z.iso.datetime() }),
  day: z.object({ tokens: z.int(), limit: z.int(), resets_at: z.iso.datetime() }),
});
export type Usage = z.infer<typeof Usage>;

/** Response of `GET /billing/plan`. Times are ISO 8601 in UTC. */
export const PlanResponse = z.object({
  user_id: z.string(),
  plan: Plan,
  /** Stripe's status of the subscription, or `null` without a subscription. */
  stripe_status: z.nullable(z.string()),
  expires_at: z.nullable(z.iso.datetime()),
  updated_at: z.nullable(z.iso.datetime()),
  reason: PlanReason,
  /** The plan ends at this time unless the overdue renewal is paid. */
  grace_until: z.optional(z.iso.datetime()),
  /** The customer has cancelled, and the plan ends at this time. A change of the plan does not remove the cancellation. */
  cancel_at: z.optional(z.iso.datetime()),
  limits: Limits,
  /** Only in `GET /billing/plan`, and missing when the usage cannot be read. */
  usage: z.optional(Usage),
});
export type PlanResponse = z.infer<typeof PlanResponse>;

/** A plan that can be bought. */
export const PaidPlan = z.enum(["paid", "vip"]);
export type PaidPlan = z.infer<typeof PaidPlan>;

/** Body of `POST /billing/checkout`. */
export const CheckoutRequest = z.strictObject({ plan: PaidPlan });

/**
 * Body of `POST /billing/portal`. With `plan`, the portal opens the page on which the customer confirms the change to
 * that plan.
 */
export const PortalRequest = z.strictObject({ plan: z.optional(PaidPlan) });

/** Response of `POST /billing/checkout` and `POST /billing/portal`: the Stripe page to open. */
export const RedirectResponse = z.object({ url: z.url() });
export type RedirectResponse = z.infer<typeof RedirectResponse>;

/** Response of `POST /webhook/stripe`. `foreign`: the event's customer belongs to another stack. */
export const WebhookResponse = z.object({
  received: z.literal(true),
  outcome: z.enum(["synced", "foreign", "ignored"]),
});
export type WebhookResponse = z.infer<typeof WebhookResponse>;
