import type Stripe from "stripe";
import { raiseAlarm } from "../lib/alarms";
import type { EventLog } from "../tables/eventLog";
import type { Billing } from "./billing";
import { findAtStripe } from "./client";
import type { StripeEvent } from "./event";
import { type EventTarget, findTarget, mayBelongToUser } from "./eventTarget";

/** Dependencies of `handleEvent`. */
export interface EventSources {
  billing: Billing;
  stripe: Stripe;
  /** This stack's owner tag, as stored in customers' metadata. */
  owner: string;
  log: EventLog;
}

/**
 * Handles an event from a webhook or from the reconciler: syncs its customer. Idempotent. If Stripe does not know the
 * event's customer, the result is `foreign` and the event is not recorded as handled. So the reconciler handles the
 * event after the operator has corrected the key.
 *
 * @throws ApiError `unavailable` when the event must be handled again
 */
export async function handleEvent(event: StripeEvent, sources: EventSources): Promise<"synced" | "foreign"> {
  const { billing, log } = sources;
  const now = new Date();
  const target = await findTarget(event, { ...sources, rows: billing.rows });
  if (target === "unknown") {
    raiseAlarm("unknown_customer", { event: event.id, type: event.type });
    return "foreign";
  }
  if (target === "foreign" || !(await isLinked(target, event, sources, now))) {
    await record(log, event, { outcome: "foreign" }, now);
    return "foreign";
  }
  const { isKnown } = await billing.sync(target.userId);
  if (!isKnown) return "foreign";
  await record(log, event, { outcome: "synced", user_id: target.userId }, now);
  return "synced";
}

/**
 * Links the event's customer to the user's row if the row has no usable customer. A customer that Stripe does not know
 * is not usable. If the row keeps a different customer, an alarm is raised.
 *
 * @returns false when the row had no customer and was not linked to the event's customer
 */
async function isLinked(
  target: Exclude<EventTarget, string>,
  event: StripeEvent,
  { billing: { rows }, stripe, owner }: EventSources,
  now: Date,
): Promise<boolean> {
  const { userId, stripeCustomerId } = target;
  const linked = (await rows.get(userId))?.stripe_customer_id;
  if (linked === stripeCustomerId) return true;
  const isUsable = linked && (await findAtStripe("customer", stripe.customers.retrieve(linked)));
  // A link to a Stripe customer is permanent, so first check with Stripe that the customer belongs to this user.
  if (!isUsable && (await mayBelongToUser(target, { stripe, owner }))) {
    if ((await rows.link(userId, stripeCustomerId, now, linked)) === stripeCustomerId) return true;
  }
  raiseAlarm("another_customer", { event: event.id, type: event.type });
  return linked !== undefined;
}

/** If the write to the event log fails, only an alarm is raised, because the row is already correct. */
async function record(log: EventLog, ...what: Parameters<EventLog["record"]>): Promise<void> {
  await log.record(...what).catch((error: Error) => raiseAlarm("event_not_recorded", { cause: error.message }));
}
