import type { Plan, PlanResponse } from "../../contract/plan";

/** What is known about a customer. The row stores facts; the plan is worked out when it is read. */
export interface Customer {
  /** A plan given by an operator, whatever Stripe says. */
  grant_plan?: Plan | undefined;
  /** ISO 8601; a grant without one does not end. */
  grant_expires_at?: string | undefined;
  /** When the facts last changed, ISO 8601. */
  updated_at?: string | undefined;
}

/** The plan that follows from the facts, and why. */
export interface Entitlement {
  plan: Plan;
  reason: PlanResponse["reason"];
  /** When the plan ends by itself. */
  expiresAt: Date | null;
}

/**
 * Facts in, plan out. Pure: a deadline that passes needs no event.
 *
 * @param customer undefined when there is no row, which means `free`
 */
export function entitlement(customer: Customer | undefined, now: Date): Entitlement {
  if (!customer) return { plan: "free", reason: "no_record", expiresAt: null };
  if (!customer.grant_plan) return { plan: "free", reason: "no_plan", expiresAt: null };
  const expiresAt = customer.grant_expires_at ? new Date(customer.grant_expires_at) : null;
  if (expiresAt && expiresAt <= now) return { plan: "free", reason: "grant_expired", expiresAt: null };
  return { plan: customer.grant_plan, reason: "grant", expiresAt };
}
