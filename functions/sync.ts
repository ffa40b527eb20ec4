import { planResponse } from "./core/planResponse";
import { type Handler, jsonHandler, NoBody, parseBody } from "./lib/http";
import { type Caller, createIdentity, type IdentitySettings } from "./lib/identity";
import { type BillingSettings, createBilling } from "./stripe/billing";
import { relinkStripeCustomer } from "./stripe/customer";
import { createRateLimiter } from "./tables/rateLimits";

/** Settings of `POST /billing/sync`. */
export type Settings = BillingSettings & IdentitySettings & { ephemeralTable: string };

const rate = { limit: 30, windowSeconds: 300 };

/**
 * `POST /billing/sync`: reads the customer's facts from Stripe now and answers like `GET /billing/plan`. The frontend
 * calls it when a customer returns from Checkout or the portal, because Stripe's event may arrive later. The
 * request contains no ids: the token identifies the customer.
 */
export function create(settings: Settings): Handler {
  const identify = createIdentity(settings);
  const count = createRateLimiter(settings.ephemeralTable);
  const billing = createBilling(settings);

  /** Syncs the row. If Stripe does not know the row's customer, looks once for another customer of the caller. */
  async function syncCaller(caller: Caller, stripeCustomerId: string) {
    const synced = await billing.sync(caller.userId);
    if (synced.isKnown) return synced.customer;
    const { client: stripe } = await billing.connection();
    const sources = { stripe, rows: billing.rows, owner: settings.stripeOwner };
    const isRelinked = await relinkStripeCustomer(caller, stripeCustomerId, sources);
    return isRelinked ? (await billing.sync(caller.userId)).customer : synced.customer;
  }

  return jsonHandler(async (event) => {
    const caller = await identify(event);
    const { userId } = caller;
    parseBody(event, NoBody);
    await count(`sync#${userId}`, rate, new Date());
    // A request without a purchase must not create a row.
    const known = await billing.rows.get(userId);
    const customer = known?.stripe_customer_id ? await syncCaller(caller, known.stripe_customer_id) : known;
    return planResponse(userId, customer, new Date(), settings.policy);
  });
}
