import type { Policy } from "../core/entitlement";
import { type Synced, type SyncOptions, syncCustomer } from "../core/sync";
import { createUserRows, type UserRows } from "../tables/userRows";
import { createStripe, type StripeConnection, type StripeSettings } from "./client";
import { readStripeFacts } from "./facts";

/** What every function that speaks with Stripe is given. */
export type BillingSettings = StripeSettings & { usersTable: string; policy: Policy };

/** Stripe, the customers' rows, and the one sync between them. */
export interface Billing {
  connection(): Promise<StripeConnection>;
  rows: UserRows;
  /**
   * Reads a user from Stripe into their row; whoever has no customer there is not asked for. Throws ApiError
   * `unavailable`; the row is then as it was.
   */
  sync(userId: string, options?: SyncOptions): Promise<Synced>;
}

/** Puts the parts of billing together. */
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
          alarm: (alarm, detail) => console.error({ alarm, ...detail }),
        },
        options,
      ),
  };
}
