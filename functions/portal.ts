import type Stripe from "stripe";
import { ApiError } from "../contract/errors";
import { PortalRequest, type RedirectResponse } from "../contract/plan";
import { type Handler, jsonHandler, parseBody } from "./lib/http";
import { createIdentity, type IdentitySettings } from "./lib/identity";
import { returnUrlFor, withQuery } from "./lib/returnUrl";
import { type BillingSettings, createBilling } from "./stripe/billing";
import { openPortalSession, planChange } from "./stripe/portalSession";
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
 * `POST /billing/portal` `{plan?}`: returns the URL of Stripe's customer portal, where the customer changes or cancels
 * a subscription, updates a card or pays an open invoice. Every customer who has ever bought a plan may open the
 * portal, even after the subscription has ended. Without the portal, such a customer might buy a second time.
 */
export function create(settings: Settings): Handler {
  const identify = createIdentity(settings);
  const count = createRateLimiter(settings.ephemeralTable);
  const billing = createBilling(settings);
  return jsonHandler(async (event): Promise<RedirectResponse> => {
    const { userId } = await identify(event);
    const { plan } = parseBody(event, PortalRequest);
    const customer = await billing.rows.get(userId);
    if (!customer?.stripe_customer_id || customer.customer_deleted) throw new ApiError("nothing_bought");
    const { client } = await billing.connection();
    await count(`portal#${userId}`, rate, new Date());
    const returnUrl = withQuery(returnUrlFor(event, settings.returnUrls), "portal", "return");
    const params: Stripe.BillingPortal.SessionCreateParams = {
      customer: customer.stripe_customer_id,
      return_url: returnUrl,
      ...(settings.portalConfiguration && { configuration: settings.portalConfiguration }),
    };
    const change = plan && (await planChange(client, customer, plan, returnUrl, settings.policy));
    return { url: await openPortalSession(client, params, change) };
  });
}
