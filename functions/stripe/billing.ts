import type { Policy } from "../core/entitlement";
import { type Synced, type SyncOptions, syncCustomer } from "../core/sync";
import { raiseAlarm } from "../lib/alarms";
import { createUserRows, type UserRows } from "../tables/userRows";
import { createStripe, type StripeConnection, type StripeSettings } from "./client";
import { readStripeFacts } from "./facts";

/** Settings of every function that calls Stripe. */
export type BillingSettings = StripeSettings & { usersTable: string; policy: Policy };

/** Stripe, the customers' rows and the sync between them. */
export interface Billing {
  /** @param options `fresh` reads Stripe's key again, at most every two seconds */
  connection(options?: { fresh: boolean }): Promise<StripeConnection>;
  rows: UserRows;
  /**
   * Syncs a user's row with Stripe. Does not call Stripe for a user without a Stripe customer. Throws ApiError
   * `unavailable`; the row is then unchanged.
   */
  sync(userId: string, options?: SyncOptions): Promise<Synced>;
}

/** Creates the shared parts of the billing functions. */
export function createBilling(settings: BillingSettings): Billing {
  const connection = createStripe(settings);
  const rows = createUserRows(settings.usersTable);
  return {
    connection,
    rows,
    sync: (userId, options) =>
      syncCustomer(
        userId,
        {
          rows,
          readFacts: async (customerId, now) => readStripeFacts((await connection()).client, customerId, now),
          policy: settings.policy,
          now: () => new Date(),
          alarm: raiseAlarm,
        },
        options,
      ),
  };
}
