import type Stripe from "stripe";
import type { EventLog } from "../tables/eventLog";
import type { Billing } from "./billing";
import type { StripeEvent } from "./event";
import { findTarget, isTheirs } from "./eventTarget";

/**
 * What an event leads to, whether Stripe has sent it or the reconciler has found it: its customer is synced. Done twice
 * it does no harm.
 *
 * @throws ApiError `unavailable` when it could not be done now and must be tried again
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
  const tellOfAnother = () => console.error({ alarm: "another_customer", event: event.id, type: event.type });
  let linked = (await rows.get(userId))?.stripe_customer_id;
  if (!linked) {
    // A row is tied to a customer for good: not by the word of an event, and to nobody else's.
    if (!(await isTheirs(target, { stripe, owner }))) {
      tellOfAnother();
      await record(log, event, { outcome: "foreign" }, now);
      return "foreign";
    }
    linked = await rows.link(userId, stripeCustomerId, now);
  }
  // Two customers of one user: what the row's own one has stands.
  if (linked !== stripeCustomerId) tellOfAnother();
  await billing.sync(userId);
  await record(log, event, { outcome: "synced", user_id: userId }, now);
  return "synced";
}

/** For operators only: the customer's row is right without it. */
async function record(log: EventLog, ...what: Parameters<EventLog["record"]>): Promise<void> {
  await log
    .record(...what)
    .catch((error: Error) => console.error({ alarm: "event_not_recorded", cause: error.message }));
}
