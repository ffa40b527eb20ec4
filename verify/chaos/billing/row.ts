import type { Customer } from "../../../functions/core/customer";
import type { SyncRows, SyncWrite } from "../../../functions/core/sync";
import type { Invocation } from "./invocation";

/**
 * One row of the users table in memory. It gives only DynamoDB's guarantees: one operation is atomic, and the operation
 * includes the check of its conditions. Mirrors the expressions of `functions/tables/userRows.ts`.
 */
export class Row {
  customer: Customer;
  reviewAt: Date | null = null;
  /** Ids of subscriptions whose plan the row has contained at some time. */
  readonly everKnown = new Set<string>();
  /** Number of writes refused because a write with a later sync ticket was already applied. */
  staleRefused = 0;
  private syncTicket = 0;
  private appliedTicket = 0;

  constructor(userId: string, stripeCustomerId: string) {
    this.customer = { user_id: userId, stripe_customer_id: stripeCustomerId };
  }

  link(stripeCustomerId: string): void {
    this.customer = { ...this.customer, stripe_customer_id: stripeCustomerId };
  }

  takeTicket(): { ticket: number; customer: Customer } {
    this.syncTicket += 1;
    return { ticket: this.syncTicket, customer: this.customer };
  }

  /** Writes only when the last applied sync ticket is lower than `ticket`. Returns whether the write happened. */
  apply(ticket: number, write: SyncWrite): boolean {
    if (this.appliedTicket >= ticket) {
      // A write with the same sync ticket is the retry of a write whose answer was lost, not a stale write.
      if (this.appliedTicket > ticket) this.staleRefused += 1;
      return false;
    }
    this.appliedTicket = ticket;
    this.write(write);
    return true;
  }

  /** Writes without a condition. */
  write({
    facts,
    knownPlans,
    reviewAt,
    now,
  }: Omit<SyncWrite, "entitlement" | "stripeStatus" | "stripeSubscriptionId">): void {
    const at = now.toISOString();
    const known_plans = { ...this.customer.known_plans, ...knownPlans };
    this.customer = { ...this.customer, ...facts, known_plans, ...(facts && { synced_at: at }), updated_at: at };
    this.reviewAt = reviewAt;
    for (const id of Object.keys(knownPlans)) this.everKnown.add(id);
  }
}

/**
 * Wraps the row in the interface that the sync uses.
 *
 * @param isFenced false means that writes do not compare sync tickets
 */
export function syncRows(row: Row, invocation: Invocation, isFenced: boolean): SyncRows {
  return {
    takeTicket: () => invocation.table(() => row.takeTicket()),
    apply: (_, ticket, write) =>
      invocation.table(() => {
        if (isFenced) return row.apply(ticket, write);
        row.write(write);
        return true;
      }),
    get: () => invocation.table(() => row.customer),
  };
}
