import type Stripe from "stripe";
import { z } from "zod";
import type { StripeAccount } from "../account";
import { newId } from "../ids";
import { liveCustomer, recurringPrice } from "../lookups";
import { bool, expand, int, paging } from "../parameters";
import { invalid, missing } from "../problem";
import { nothing, type Route, route } from "../route";
import type { Switches } from "../switches";

/** Id of the only configuration of the double. */
export const DEFAULT_CONFIGURATION = "bpc_1DoubleDefault000000000";

const FlowData = z.strictObject({
  type: z.literal("subscription_update_confirm"),
  subscription_update_confirm: z.strictObject({
    subscription: z.string(),
    items: z.array(z.strictObject({ id: z.string(), price: z.string(), quantity: int.optional() })).length(1),
  }),
  after_completion: z
    .strictObject({ type: z.literal("redirect"), redirect: z.strictObject({ return_url: z.string() }) })
    .optional(),
});

/** Configurations and sessions of the customer portal. */
export function portalSessionsRoutes(account: StripeAccount, switches: Switches): Route[] {
  const { ledger } = account;

  function flowOf(given: z.output<typeof FlowData>, customer: string): Stripe.BillingPortal.Session.Flow {
    const { subscription, items } = given.subscription_update_confirm;
    if (switches.portal === "fixedPlan")
      throw invalid(
        "This subscription cannot be updated because the subscription update feature in the portal configuration is disabled.",
      );
    const found = ledger.get("subscription", subscription, "flow_data[subscription_update_confirm][subscription]");
    const [item] = items;
    const isOwn = found.customer === customer && found.items.data.some(({ id }) => id === item?.id);
    if (!isOwn || !item) throw invalid("The subscription item does not belong to the customer's subscription.");
    recurringPrice(ledger, item.price, "flow_data[subscription_update_confirm][items][0][price]");
    return {
      type: "subscription_update_confirm",
      after_completion: {
        type: given.after_completion ? "redirect" : "portal_homepage",
        redirect: given.after_completion?.redirect ?? null,
        hosted_confirmation: null,
      },
      subscription_cancel: null,
      subscription_update: null,
      subscription_update_confirm: {
        subscription,
        discounts: null,
        items: [{ id: item.id, price: item.price, quantity: item.quantity ?? 1 }],
      },
    } as Stripe.BillingPortal.Session.Flow;
  }

  function requireConfiguration(id: string, param: string): void {
    if (switches.portal === "missing" || id !== DEFAULT_CONFIGURATION)
      throw missing("billing portal configuration", id, param);
  }

  return [
    route(
      "GET /billing_portal/configurations",
      z.strictObject({ active: bool.optional(), is_default: bool.optional(), ...paging }),
      () => ({
        object: "list",
        data: switches.portal === "missing" ? [] : [configuration(switches.portal === "complete")],
        has_more: false,
        url: "/v1/billing_portal/configurations",
      }),
    ),
    route("GET /billing_portal/configurations/:id", nothing, (_params, id) => {
      requireConfiguration(id, "id");
      return configuration(switches.portal === "complete");
    }),
    route(
      "POST /billing_portal/sessions",
      z.strictObject({
        customer: z.string(),
        return_url: z
          .string()
          .regex(/^https?:\/\/.+/, "Not a valid URL")
          .optional(),
        configuration: z.string().optional(),
        locale: z.string().optional(),
        flow_data: FlowData.optional(),
        expand,
      }),
      ({ customer, return_url, configuration, flow_data }) => {
        liveCustomer(ledger, customer);
        if (configuration !== undefined) requireConfiguration(configuration, "configuration");
        else if (switches.portal === "missing")
          throw invalid(
            "You can't create a portal session in test mode until you save your customer portal settings in test mode at https://dashboard.stripe.com/test/settings/billing/portal.",
          );
        const flow = flow_data ? flowOf(flow_data, customer) : null;
        const id = newId("bps");
        return ledger.put("billing_portal.session", {
          id,
          object: "billing_portal.session",
          configuration: configuration ?? DEFAULT_CONFIGURATION,
          created: ledger.now(customer),
          customer,
          customer_account: null,
          flow,
          livemode: false,
          locale: null,
          on_behalf_of: null,
          return_url: return_url ?? null,
          url: account.pageUrl(`/p/session/${id}`),
        });
      },
    ),
  ];
}

/** The account's default configuration. */
function configuration(mayChangePlan: boolean): Stripe.BillingPortal.Configuration {
  return {
    id: DEFAULT_CONFIGURATION,
    object: "billing_portal.configuration",
    active: true,
    application: null,
    business_profile: { headline: null, privacy_policy_url: null, terms_of_service_url: null },
    created: 1_700_000_000,
    default_return_url: null,
    features: {
      customer_update: { allowed_updates: [], enabled: false },
      invoice_history: { enabled: true },
      payment_method_update: { enabled: true, payment_method_configuration: null },
      subscription_cancel: {
        cancellation_reason: { enabled: false, feedback_options: null, options: [] },
        enabled: true,
        mode: "at_period_end",
        proration_behavior: "none",
      },
      subscription_pause: { duration: { interval_options: [], type: "indefinite" }, enabled: false },
      subscription_update: {
        billing_cycle_anchor: mayChangePlan ? "now" : null,
        default_allowed_updates: mayChangePlan ? ["price"] : [],
        enabled: mayChangePlan,
        proration_behavior: mayChangePlan ? "always_invoice" : "none",
        schedule_at_period_end: { conditions: [] },
        trial_update_behavior: "end_trial",
      },
    },
    is_default: true,
    livemode: false,
    login_page: { enabled: false, url: null },
    metadata: {},
    name: null,
    updated: 1_700_000_000,
  };
}
