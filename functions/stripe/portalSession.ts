import type Stripe from "stripe";
import { ApiError } from "../../contract/errors";
import type { PaidPlan } from "../../contract/plan";
import type { Customer } from "../core/customer";
import { currentSubscription, isRunning, type Policy, planOfPrices } from "../core/entitlement";
import { raiseAlarm } from "../lib/alarms";
import { findAtStripe, fromStripe, isRefused, isUnknown } from "./client";

/**
 * Creates a session of Stripe's customer portal and returns its URL.
 *
 * @param change the first page to show. If the portal does not allow the change, the URL opens the portal's start page
 * @throws ApiError `nothing_bought` when Stripe does not know the customer, or `unavailable`
 */
export async function openPortalSession(
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
    // The row has the id of a customer that Stripe has deleted or has never known.
    if (isUnknown(error, "customer")) throw new ApiError("nothing_bought", undefined, { cause: error });
    if (!change || !isRefused(error)) throw error;
    raiseAlarm("portal_cannot_change_plan");
    return openPortalSession(stripe, params, undefined);
  }
}

/**
 * Returns the portal's page on which the customer confirms a change of plan. Undefined when there is no running
 * subscription that Stripe knows, or when the subscription already has the plan.
 */
export async function planChange(
  stripe: Stripe,
  customer: Customer,
  plan: PaidPlan,
  returnUrl: string,
  policy: Policy,
): Promise<Stripe.BillingPortal.SessionCreateParams.FlowData | undefined> {
  const current = currentSubscription(customer, new Date(), policy);
  const [price] = policy.prices[plan];
  if (!current || !isRunning(current) || !price) return undefined;
  const subscription = await findAtStripe("subscription", stripe.subscriptions.retrieve(current.id));
  const item = subscription?.items.data.find((one) => planOfPrices([one.price.id], policy));
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
