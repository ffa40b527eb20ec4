import type { Policy } from "../functions/core/entitlement";
import type { Config } from "./config";

/** What the operator has decided of plans, for every function that works one out. */
export function billingPolicy({ billing: { prices, graceDays } }: Pick<Config, "billing">): Policy {
  return { prices, graceDays };
}
