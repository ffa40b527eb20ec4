import { planResponse } from "./core/planResponse";
import { type Handler, jsonHandler, NoBody, parseBody } from "./lib/http";
import { createIdentity, type IdentitySettings } from "./lib/identity";
import { type BillingSettings, createBilling } from "./stripe/billing";
import { createRateLimiter } from "./tables/rateLimits";

/** Settings of `POST /billing/sync`. */
export type Settings = BillingSettings & IdentitySettings & { ephemeralTable: string };

const rate = { limit: 30, windowSeconds: 300 };

/**
 * `POST /billing/sync`: reads the customer's facts from Stripe now and answers like `GET /billing/plan`. The frontend
 * calls it when a customer returns from Checkout or the portal, because Stripe's event may not have arrived yet. The
 * request contains no ids: the token identifies the customer.
 */
export function create(settings: Settings): Handler {
  const identify = createIdentity(settings);
  const count = createRateLimiter(settings.ephemeralTable);
  const billing = createBilling(settings);
  return jsonHandler(async (event) => {
    const { userId } = await identify(event);
    parseBody(event, NoBody);
    await count(`sync#${userId}`, rate, new Date());
    // A request alone must not create a row.
    const known = await billing.rows.get(userId);
    const customer = known?.stripe_customer_id ? (await billing.sync(userId)).customer : known;
    return planResponse(userId, customer, new Date(), settings.policy);
  });
}
