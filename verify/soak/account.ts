import { randomUUID } from "node:crypto";
import type { PaidPlan, Plan } from "../../client";
import type { Credentials } from "../../local/visitor/hostedSignIn";

/**
 * An account at the product, and the purchases of its customer. The soak keeps these facts independently of the
 * product's code.
 */
export class Account {
  readonly credentials: Credentials = { email: `${randomUUID()}@example.com`, password: "misaki-mama-1" };
  /** Plan of the subscription. Undefined before a purchase, and after the end of a cancelled subscription. */
  bought: PaidPlan | undefined;
  /** Whether the subscription ends at the end of its period. */
  cancelled = false;
  /** Whether a payment is disputed. The product then gives the free plan. */
  disputed = false;
  /**
   * Whether the product has read Stripe since the last change. If true, the product must give the right plan
   * immediately.
   */
  synced = true;

  /** Plan that the product must give. */
  get plan(): Plan {
    return this.disputed ? "free" : (this.bought ?? "free");
  }

  /** Ends the period of the subscription. A cancelled subscription ends. Any other subscription renews. */
  endPeriod(): void {
    if (this.cancelled) this.bought = undefined;
    this.cancelled = false;
  }
}
