import type { PlanResponse, Usage } from "../../contract/plan";
import type { Customer } from "./customer";
import { currentSubscription, entitlement, type Policy } from "./entitlement";
import { planLimits } from "./planLimits";

/** Builds the answer of `GET /billing/plan`. `customer` is undefined when there is no row, `usage` when it is unknown. */
export function planResponse(
  userId: string,
  customer: Customer | undefined,
  now: Date,
  policy: Policy,
  usage?: Usage,
): PlanResponse {
  const { plan, reason, expiresAt, graceUntil, cancelAt } = entitlement(customer, now, policy);
  return {
    user_id: userId,
    plan,
    stripe_status: (customer && currentSubscription(customer, now, policy)?.status) ?? null,
    expires_at: expiresAt?.toISOString() ?? null,
    updated_at: customer?.updated_at ?? null,
    reason,
    ...(graceUntil && { grace_until: graceUntil.toISOString() }),
    ...(cancelAt && { cancel_at: cancelAt.toISOString() }),
    limits: planLimits[plan],
    ...(usage && { usage }),
  };
}
