import type { Plan, Usage } from "../contract/plan";
import { entitlement, type Policy } from "./core/entitlement";
import { planResponse } from "./core/planResponse";
import { causesText } from "./lib/causes";
import { type Handler, jsonHandler } from "./lib/http";
import { createIdentity, type IdentitySettings } from "./lib/identity";
import { createUsageTable, type UsageLimits } from "./tables/usage";
import { createUsers } from "./tables/users";

/** Settings of `GET /billing/plan`. */
export type Settings = IdentitySettings & {
  usersTable: string;
  policy: Policy;
  ephemeralTable: string;
  /** Limits of the relay, by plan. */
  limits: Record<Plan, UsageLimits>;
};

/**
 * `GET /billing/plan`: returns the customer's plan, its end, the reason, and their use of the relay. A customer without
 * a row is `free`.
 */
export function create(settings: Settings): Handler {
  const identify = createIdentity(settings);
  const findCustomer = createUsers(settings.usersTable);
  const usageTable = createUsageTable(settings.ephemeralTable);
  return jsonHandler(async (event) => {
    const { userId } = await identify(event);
    const now = new Date();
    const customer = await findCustomer(userId);
    const { plan } = entitlement(customer, now, settings.policy);
    const usage = await orUndefined(usageTable.read(`user#${userId}`, settings.limits[plan], now));
    return planResponse(userId, customer, now, settings.policy, usage);
  });
}

/** If the usage cannot be read, the response still contains the plan. */
async function orUndefined(reading: Promise<Usage>): Promise<Usage | undefined> {
  try {
    return await reading;
  } catch (error) {
    console.error({ usageUnreadable: causesText(error) });
    return undefined;
  }
}
