import type Stripe from "stripe";
import type { EventLog } from "../tables/eventLog";
import type { Billing } from "./billing";
import type { StripeEvent } from "./event";
import { findTarget, mayBelongToUser } from "./eventTarget";

/**
 * Handles an event from a webhook or from the reconciler: syncs its customer. Idempotent.
 *
 * @throws ApiError `unavailable` when it must be tried again
 */
export async function handleEvent(
  event: StripeEvent,
  { billing, stripe, owner, log }: { billing: Billing; stripe: Stripe; owner: string; log: EventLog },
): Promise<"synced" | "foreign"> {
  const { rows } = billing;
  const now = new Date();
  const target = await findTarget(event, { stripe, rows, owner });
  if (target === "foreign") {
    await record(log, event, { outcome: "foreign" }, now);
    return "foreign";
  }
  const { userId, stripeCustomerId } = target;
  const alarmOtherCustomer = () => console.error({ alarm: "another_customer", event: event.id, type: event.type });
  let linked = (await rows.get(userId))?.stripe_customer_id;
  if (!linked) {
    // A link to a Stripe customer is permanent, so first check with Stripe that the customer belongs to this user.
    if (!(await mayBelongToUser(target, { stripe, owner }))) {
      alarmOtherCustomer();
      await record(log, event, { outcome: "foreign" }, now);
      return "foreign";
    }
    linked = await rows.link(userId, stripeCustomerId, now);
  }
  // The user has two Stripe customers. The linked one stays authoritative.
  if (linked !== stripeCustomerId) alarmOtherCustomer();
  await billing.sync(userId);
  await record(log, event, { outcome: "synced", user_id: userId }, now);
  return "synced";
}

/** A failed write to the event log is only reported: the row is already correct. */
async function record(log: EventLog, ...what: Parameters<EventLog["record"]>): Promise<void> {
  await log
    .record(...what)
    .catch((error: Error) => console.error({ alarm: "event_not_recorded", cause: error.message }));
}
