import { type Check, failed, ok, unknown, warning } from "../check";
import { isMissing, type StripeAccess, stripeClient, stripeReason, stripeTodo } from "./client";

const DASHBOARD = "Stripe's dashboard (Settings, Billing, Customer portal)";

/**
 * Checks that the customer portal is configured and lets customers change their plan. Without it a subscriber cannot
 * buy vip, and nobody can cancel.
 *
 * @param configuration `bpc_…`; undefined for the account's default
 */
export async function checkPortal(access: StripeAccess, configuration: string | undefined): Promise<Check> {
  const name = "customer portal";
  const stripe = stripeClient(access);
  try {
    const found = configuration
      ? await stripe.billingPortal.configurations.retrieve(configuration)
      : (await stripe.billingPortal.configurations.list({ active: true, is_default: true, limit: 1 })).data[0];
    if (!found)
      return failed(name, "it was never configured, so it does not open", `Save its settings in ${DASHBOARD}.`);
    const { enabled, default_allowed_updates } = found.features.subscription_update;
    if (enabled && default_allowed_updates.includes("price"))
      return ok(name, `${found.id}; customers can change their plan`);
    const todo = `Allow customers to switch plans in ${DASHBOARD}, and add the products of billing.prices.`;
    return warning(name, "customers cannot change their plan, so a paid customer cannot get vip", todo);
  } catch (error) {
    if (configuration && isMissing(error))
      return failed(
        name,
        `billing.portalConfiguration: Stripe does not know ${configuration} in this account and mode`,
        `Use the id of a configuration in ${DASHBOARD}, or remove the key to use the default.`,
      );
    const permission =
      "Give stripeApiKey the permission to read customer portal configurations, or check the portal by hand.";
    return unknown(name, `Stripe did not show its settings: ${stripeReason(error)}`, stripeTodo(error, permission));
  }
}
