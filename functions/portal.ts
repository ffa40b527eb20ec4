import { ApiError } from "../contract/errors";
import type { RedirectResponse } from "../contract/plan";
import { type Handler, jsonHandler, NoBody, parseBody } from "./lib/http";
import { createIdentity, type IdentitySettings } from "./lib/identity";
import { returnUrlFor, withQuery } from "./lib/returnUrl";
import { type BillingSettings, createBilling } from "./stripe/billing";
import { fromStripe } from "./stripe/client";
import { createCounters } from "./tables/counters";

/** Settings of `POST /billing/portal`. */
export type Settings = BillingSettings &
  IdentitySettings & {
    ephemeralTable: string;
    returnUrls: string[];
    /** `bpc_…`; undefined for the account's default. */
    portalConfiguration?: string;
  };

const rate = { limit: 60, windowSeconds: 3_600 };

/**
 * `POST /billing/portal`: where to change or cancel a subscription, mend a card, or pay what is open. Open to everybody
 * who has ever bought, whatever became of it: whoever cannot reach it buys twice.
 */
export function create(settings: Settings): Handler {
  const identify = createIdentity(settings);
  const count = createCounters(settings.ephemeralTable);
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
    const { url } = await fromStripe("billing_portal.session", session);
    if (!url) throw new ApiError("unavailable", undefined, { cause: "the portal session has no URL" });
    return { url };
  });
}
