import type Stripe from "stripe";
import { ApiError } from "../contract/errors";
import { type PaidPlan, PortalRequest, type RedirectResponse } from "../contract/plan";
import type { Customer } from "./core/customer";
import { currentSubscription, type Policy, planOfPrices } from "./core/entitlement";
import { type Handler, jsonHandler, parseBody } from "./lib/http";
import { createIdentity, type IdentitySettings } from "./lib/identity";
import { returnUrlFor, withQuery } from "./lib/returnUrl";
import { type BillingSettings, createBilling } from "./stripe/billing";
import { fromStripe, isRefused, isUnknown } from "./stripe/client";
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
 * a subscription, updates a card or pays an open invoice. Every customer who has ever bought may use it, also after the
 * subscription has ended, because a customer who cannot reach the portal may buy a second time.
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
    return { url: await openPortal(client, params, change) };
  });
}

/** @param change the first page; if the portal does not allow it, the portal opens at its start */
async function openPortal(
  stripe: Stripe,
  params: Stripe.BillingPortal.SessionCreateParams,
  change: Stripe.BillingPortal.SessionCreateParams.FlowData | undefined,
): Promise<string> {
  const create = (given: Stripe.BillingPortal.SessionCreateParams) =>
    fromStripe("billing_portal.session", stripe.billingPortal.sessions.create(given));
  try {
    const { url } = await (change ? create({ ...params, flow_data: change }) : create(params));
    if (!url) throw new ApiError("unavailable", undefined, { cause: "the portal session has no URL" });
    return url;
  } catch (error) {
    // Stripe has deleted the customer but the row still has the id, or Stripe has never known the id.
    if (isUnknown(error, "customer")) throw new ApiError("nothing_bought", undefined, { cause: error });
    if (!change || !isRefused(error)) throw error;
    console.error({ alarm: "portal_cannot_change_plan" });
    return openPortal(stripe, params, undefined);
  }
}

/**
 * The portal's page on which the customer confirms a change of plan. Undefined when there is nothing to change: no
 * running subscription, or a subscription that already has the plan.
 */
async function planChange(
  stripe: Stripe,
  customer: Customer,
  plan: PaidPlan,
  returnUrl: string,
  policy: Policy,
): Promise<Stripe.BillingPortal.SessionCreateParams.FlowData | undefined> {
  const current = currentSubscription(customer, new Date(), policy);
  const [price] = policy.prices[plan];
  if (!current || !["active", "trialing", "past_due"].includes(current.status) || !price) return undefined;
  const { items } = await fromStripe("subscription", stripe.subscriptions.retrieve(current.id));
  const item = items.data.find((one) => planOfPrices([one.price.id], policy));
  if (!item || planOfPrices([item.price.id], policy) === plan) return undefined;
  return {
    type: "subscription_update_confirm",
    subscription_update_confirm: {
      subscription: current.id,
      items: [{ id: item.id, price, quantity: item.quantity ?? 1 }],
    },
    after_completion: { type: "redirect", redirect: { return_url: returnUrl } },
  };
}
