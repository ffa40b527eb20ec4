import { randomUUID } from "node:crypto";
import type { PaidPlan, Plan } from "../../client";
import type { Credentials } from "../../local/visitor/hostedSignIn";

/** An account at the product, and what its customer has paid. It is a model that no code of the product changes. */
export class Account {
  readonly credentials: Credentials = { email: `${randomUUID()}@example.com`, password: "misaki-mama-1" };
  /** Plan of the subscription. Undefined before a purchase, and after the end of a cancelled subscription. */
  bought: PaidPlan | undefined;
  /** Whether the subscription ends with its period. */
  cancelled = false;
  /** Whether a payment is disputed. The product then gives the free plan. */
  disputed = false;
  /** Whether the product has read Stripe since the last change. Then it must give the right plan at once. */
  synced = true;

  /** Plan that the product must give. */
  get plan(): Plan {
    return this.disputed ? "free" : (this.bought ?? "free");
  }

  /** The period of the subscription is over: it renews, or ends as cancelled. */
  endPeriod(): void {
    if (this.cancelled) this.bought = undefined;
    this.cancelled = false;
  }
}
