import type { PlanResponse } from "../contract/plan";
import { entitlement } from "./core/entitlement";
import { planLimits } from "./core/limits";
import { type Handler, jsonHandler } from "./http";
import { createIdentity, type IdentitySettings } from "./identity";
import { createUsers } from "./users";

/** Settings of `GET /billing/plan`. */
export type Settings = IdentitySettings & { usersTable: string };

/** `GET /billing/plan`: what the customer has, until when, and why. A customer without a row is `free`. */
export function create(settings: Settings): Handler {
  const identify = createIdentity(settings);
  const findCustomer = createUsers(settings.usersTable);
  return jsonHandler(async (event): Promise<PlanResponse> => {
    const userId = await identify(event);
    const customer = await findCustomer(userId);
    const { plan, reason, expiresAt } = entitlement(customer, new Date());
    return {
      user_id: userId,
      plan,
      stripe_status: null,
      expires_at: expiresAt?.toISOString() ?? null,
      updated_at: customer?.updated_at ?? null,
      reason,
      limits: planLimits[plan],
    };
  });
}
