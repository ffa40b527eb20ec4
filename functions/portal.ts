import { ApiError } from "../contract/errors";
import type { RedirectResponse } from "../contract/plan";
import { type Handler, jsonHandler, NoBody, parseBody } from "./lib/http";
import { createIdentity, type IdentitySettings } from "./lib/identity";
import { returnUrlFor, withQuery } from "./lib/returnUrl";
import { type BillingSettings, createBilling } from "./stripe/billing";
import { fromStripe, isUnknown } from "./stripe/client";
import { createRateLimiter } from "./tables/rateLimits";

/** Settings of `POST /billing/portal`. */
export type Settings = BillingSettings &
  IdentitySettings & {
    ephemeralTable: string;
    returnUrls: string[];
    /** `bpc_…`; undefined uses the account's default. */
    portalConfiguration?: string;
  };

const rate = { limit: 60, windowSeconds: 3_600 };

/**
 * `POST /billing/portal`: returns the URL of Stripe's customer portal, where the customer changes or cancels a
 * subscription, updates a card or pays an open invoice. Every customer who has ever bought may use it, also after the
 * subscription has ended, because a customer who cannot reach the portal may buy a second time.
 */
export function create(settings: Settings): Handler {
  const identify = createIdentity(settings);
  const count = createRateLimiter(settings.ephemeralTable);
  const billing = createBilling(settings);
  return jsonHandler(async (event): Promise<RedirectResponse> => {
    const { userId } = await identify(event);
    parseBody(event, NoBody);
    const customer = await billing.rows.get(userId);
    if (!customer?.stripe_customer_id || customer.customer_deleted) throw new ApiError("nothing_bought");
    const { client } = await billing.connection();
    await count(`portal#${userId}`, rate, new Date());
    const session = client.billingPortal.sessions.create({
      customer: customer.stripe_customer_id,
      return_url: withQuery(returnUrlFor(event, settings.returnUrls), "portal", "return"),
      ...(settings.portalConfiguration && { configuration: settings.portalConfiguration }),
    });
    const { url } = await fromStripe("billing_portal.session", session).catch((error: unknown) => {
      // Stripe has deleted the customer, and the row does not know it yet. Or it does not know the customer at all.
      if (isUnknown(error, "customer")) throw new ApiError("nothing_bought", undefined, { cause: error });
      throw error;
    });
    if (!url) throw new ApiError("unavailable", undefined, { cause: "the portal session has no URL" });
    return { url };
  });
}
