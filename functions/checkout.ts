import { ApiError } from "../contract/errors";
import { CheckoutRequest, type RedirectResponse } from "../contract/plan";
import { type Handler, jsonHandler, parseBody } from "./lib/http";
import { createIdentity, type IdentitySettings } from "./lib/identity";
import { returnUrlFor } from "./lib/returnUrl";
import { type BillingSettings, createBilling } from "./stripe/billing";
import { openCheckoutSession } from "./stripe/checkoutSession";
import { createCheckoutAttempts } from "./tables/checkoutAttempts";
import { createRateLimiter } from "./tables/rateLimits";

/** Settings of `POST /billing/checkout`. */
export type Settings = BillingSettings & IdentitySettings & { ephemeralTable: string; returnUrls: string[] };

const rate = { limit: 30, windowSeconds: 3_600 };

/**
 * `POST /billing/checkout` `{plan}`: returns the URL of a Checkout Session. The client names only a plan. The price
 * comes from the configuration.
 */
export function create(settings: Settings): Handler {
  const identify = createIdentity(settings);
  const count = createRateLimiter(settings.ephemeralTable);
  const billing = createBilling(settings);
  const attempts = createCheckoutAttempts(settings.ephemeralTable);
  return jsonHandler(async (event): Promise<RedirectResponse> => {
    const caller = await identify(event);
    const { plan } = parseBody(event, CheckoutRequest);
    const [priceId] = settings.policy.prices[plan];
    if (!priceId) throw new ApiError("unavailable", undefined, { cause: `no price is configured for ${plan}` });
    const { client: stripe } = await billing.connection();
    await count(`checkout#${caller.userId}`, rate, new Date());
    const purchase = { plan, priceId, returnUrl: returnUrlFor(event, settings.returnUrls) };
    return {
      url: await openCheckoutSession(caller, purchase, { stripe, billing, attempts, owner: settings.stripeOwner }),
    };
  });
}
