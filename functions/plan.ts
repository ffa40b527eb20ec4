import type { Policy } from "./core/entitlement";
import { planResponse } from "./core/planResponse";
import { type Handler, jsonHandler } from "./lib/http";
import { createIdentity, type IdentitySettings } from "./lib/identity";
import { createUsers } from "./tables/users";

/** Settings of `GET /billing/plan`. */
export type Settings = IdentitySettings & { usersTable: string; policy: Policy };

/** `GET /billing/plan`: returns the customer's plan, its end and the reason. A customer without a row is `free`. */
export function create(settings: Settings): Handler {
  const identify = createIdentity(settings);
  const findCustomer = createUsers(settings.usersTable);
  return jsonHandler(async (event) => {
    const { userId } = await identify(event);
    return planResponse(userId, await findCustomer(userId), new Date(), settings.policy);
  });
}
