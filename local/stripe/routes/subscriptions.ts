import type Stripe from "stripe";
import { z } from "zod";
import type { StripeAccount } from "../account";
import { addDiscounts, amountsOff } from "../discounts";
import type { Ledger } from "../ledger";
import { list, liveCustomer, recurringPrice } from "../lookups";
import { bool, expand, int, merged, metadata, paging, timeRange, within } from "../parameters";
import { collect, draftInvoice, finalizeInvoice, paymentProblem } from "../payments";
import { invalid, missing } from "../problem";
import { nothing, type Route, route } from "../route";
import { DAY, endSubscription, mustLive, openSubscription } from "../subscriptions";

const cancellation = z.strictObject({ comment: z.string().optional(), feedback: z.string().optional() }).optional();

const discounts = z
  .array(z.strictObject({ coupon: z.string() }))
  .max(20)
  .optional();

const NewSubscription = z.strictObject({
  customer: z.string(),
  items: z
    .array(z.strictObject({ price: z.string(), quantity: int.optional() }))
    .min(1)
    .max(20),
  default_payment_method: z.string().optional(),
  payment_behavior: z
    .enum(["allow_incomplete", "default_incomplete", "error_if_incomplete", "pending_if_incomplete"])
    .default("allow_incomplete"),
  trial_period_days: int.optional(),
  trial_end: int.optional(),
  cancel_at_period_end: bool.optional(),
  collection_method: z.enum(["charge_automatically", "send_invoice"]).optional(),
  days_until_due: int.optional(),
  payment_settings: z.strictObject({ payment_method_types: z.array(z.string()).optional() }).optional(),
  discounts,
  metadata: metadata.optional(),
  expand,
});

const SubscriptionChanges = z.strictObject({
  cancel_at_period_end: bool.optional(),
  cancel_at: z.union([z.literal("").transform(() => null), int]).optional(),
  items: z
    .array(z.strictObject({ id: z.string().optional(), price: z.string().optional(), quantity: int.optional() }))
    .max(20)
    .optional(),
  default_payment_method: z.string().optional(),
  discounts,
  metadata: metadata.optional(),
  pause_collection: z
    .union([
      z.literal("").transform(() => null),
      z.strictObject({
        behavior: z.enum(["keep_as_draft", "mark_uncollectible", "void"]),
        resumes_at: int.optional(),
      }),
    ])
    .optional(),
  proration_behavior: z.enum(["always_invoice", "create_prorations", "none"]).optional(),
  cancellation_details: cancellation,
  trial_end: z.union([z.literal("now"), int]).optional(),
  expand,
});

const SubscriptionFilter = z.strictObject({
  customer: z.string().optional(),
  price: z.string().optional(),
  status: z
    .enum([
      "active",
      "all",
      "canceled",
      "ended",
      "incomplete",
      "incomplete_expired",
      "past_due",
      "paused",
      "trialing",
      "unpaid",
    ])
    .optional(),
  created: timeRange.optional(),
  test_clock: z.string().optional(),
  ...paging,
});

/** Subscriptions and their items. */
export function subscriptionsRoutes(account: StripeAccount): Route[] {
  const { ledger } = account;
  return [
    route("POST /subscriptions", NewSubscription, (params) => createSubscription(ledger, params)),
    route("GET /subscriptions/:id", nothing, (_, id) => ledger.get("subscription", id)),
    route("GET /subscriptions", SubscriptionFilter, (filter) =>
      list(ledger, "subscription", "/v1/subscriptions", filter, (one) => matches(one, filter)),
    ),
    route("POST /subscriptions/:id", SubscriptionChanges, (changes, id) => updateSubscription(account, id, changes)),
    route(
      "DELETE /subscriptions/:id",
      z.strictObject({
        invoice_now: bool.optional(),
        prorate: bool.optional(),
        cancellation_details: cancellation,
        expand,
      }),
      (_, id) => {
        if (["canceled", "incomplete_expired"].includes(ledger.get("subscription", id).status))
          throw missing("subscription", id);
        return endSubscription(ledger, id, "cancellation_requested");
      },
    ),
    route("GET /subscription_items", z.strictObject({ subscription: z.string(), ...paging }), ({ subscription }) => {
      const { items } = ledger.get("subscription", subscription, "subscription");
      return { object: "list", data: items.data, has_more: false, url: "/v1/subscription_items" };
    }),
  ];
}

function createSubscription(ledger: Ledger, params: z.output<typeof NewSubscription>): Stripe.Subscription {
  const { customer, items, default_payment_method, payment_behavior, cancel_at_period_end } = params;
  const { invoice_settings } = liveCustomer(ledger, customer);
  const now = ledger.now(customer);
  const priced = items.map(({ price, quantity = 1 }, at) => ({
    price: recurringPrice(ledger, price, `items[${at}][price]`),
    quantity,
  }));
  const card = default_payment_method ?? (invoice_settings.default_payment_method as string | null);
  const trialEnd = params.trial_end ?? (params.trial_period_days ? now + params.trial_period_days * DAY : null);
  const isSent = params.collection_method === "send_invoice";
  if (isSent !== (params.days_until_due !== undefined))
    throw invalid(
      "`days_until_due` is required when `collection_method` is send_invoice, and not allowed otherwise.",
      "days_until_due",
    );
  const subtotal = priced.reduce((sum, { price, quantity }) => sum + (price.unit_amount ?? 0) * quantity, 0);
  const coupons = (params.discounts ?? []).map(({ coupon }) => coupon);
  const isFree = coupons.some(
    (id) => amountsOff(ledger.get("coupon", id, "discounts[0][coupon]"), [subtotal])[0] === subtotal,
  );
  if (!isFree && !isSent && !trialEnd && !card && payment_behavior === "allow_incomplete")
    throw invalid(
      "This customer has no attached payment source or default payment method. Please consider adding a default payment method.",
      undefined,
      "resource_missing",
    );
  const subscription = openSubscription(ledger, {
    customer,
    items: priced,
    metadata: params.metadata ?? {},
    paymentMethod: default_payment_method ?? null,
    trialEnd,
    // Stripe trusts a customer who pays by invoice until the due date.
    status: isSent ? "active" : "incomplete",
    ...(params.days_until_due !== undefined && { daysUntilDue: params.days_until_due }),
  });
  addDiscounts(ledger, subscription, coupons);
  const paymentTypes = params.payment_settings?.payment_method_types;
  if (paymentTypes) setPaymentTypes(ledger, subscription.id, paymentTypes);
  if (cancel_at_period_end) ledger.change("subscription", subscription.id, { cancel_at_period_end });
  ledger.emit("customer.subscription.created", ledger.get("subscription", subscription.id));
  const invoice = draftInvoice(ledger, ledger.get("subscription", subscription.id), "subscription_create");
  if (isSent) return ledger.get("subscription", subscription.id);
  finalizeInvoice(ledger, invoice.id);
  if (payment_behavior !== "default_incomplete" || invoice.amount_due === 0) {
    const payment = collect(ledger, invoice.id);
    if (!payment.paid && payment_behavior === "error_if_incomplete") {
      ledger.remove("subscription", subscription.id);
      throw paymentProblem(payment);
    }
  }
  return ledger.get("subscription", subscription.id);
}

/** Stripe cannot charge konbini by itself: the customer must go to a store. */
function setPaymentTypes(ledger: Ledger, id: string, types: string[]): void {
  const { collection_method, payment_settings } = ledger.get("subscription", id);
  if (types.includes("konbini") && collection_method !== "send_invoice")
    throw invalid(
      "The payment method type `konbini` can only be used with `collection_method` send_invoice.",
      "payment_settings[payment_method_types]",
    );
  ledger.change("subscription", id, {
    payment_settings: {
      payment_method_options: null,
      save_default_payment_method: "off",
      ...payment_settings,
      payment_method_types: types as Stripe.Subscription.PaymentSettings.PaymentMethodType[],
    },
  });
}

function updateSubscription(
  account: StripeAccount,
  id: string,
  changes: z.output<typeof SubscriptionChanges>,
): Stripe.Subscription {
  const { ledger } = account;
  const { cancel_at_period_end, cancel_at, items, default_payment_method, pause_collection } = changes;
  const before = ledger.get("subscription", id);
  if (cancel_at_period_end !== undefined || cancel_at !== undefined || items || pause_collection !== undefined)
    mustLive(before);
  if (cancel_at_period_end !== undefined && cancel_at)
    throw invalid("You may only specify one of these parameters: cancel_at, cancel_at_period_end.");
  const now = ledger.now(before.customer as string);
  const coupons = changes.discounts?.map(({ coupon }) => coupon);
  if (coupons) addDiscounts(ledger, { ...before, discounts: [] }, coupons);
  ledger.change(
    "subscription",
    id,
    {
      ...cancellationFields(before, changes, now),
      ...(default_payment_method && {
        default_payment_method: ledger.get("payment_method", default_payment_method, "default_payment_method").id,
      }),
      ...(pause_collection !== undefined && {
        pause_collection: pause_collection && {
          behavior: pause_collection.behavior,
          resumes_at: pause_collection.resumes_at ?? null,
        },
      }),
      ...(changes.trial_end === "now" && { trial_end: now }),
      metadata: merged(before.metadata, changes.metadata),
    },
    "customer.subscription.updated",
  );
  const price = items?.[0]?.price;
  if (price) account.changePrice(id, recurringPrice(ledger, price, "items[0][price]").id);
  account.runDue();
  return ledger.get("subscription", id);
}

function cancellationFields(
  before: Stripe.Subscription,
  { cancel_at_period_end, cancel_at }: z.output<typeof SubscriptionChanges>,
  now: number,
): Partial<Stripe.Subscription> {
  const isScheduled = cancel_at_period_end === true || typeof cancel_at === "number";
  const isRemoved = cancel_at_period_end === false || cancel_at === null;
  return {
    ...(cancel_at_period_end !== undefined && {
      cancel_at_period_end,
      cancel_at: cancel_at_period_end ? (before.items.data[0]?.current_period_end ?? null) : null,
    }),
    ...(cancel_at !== undefined && { cancel_at }),
    ...(isScheduled && { canceled_at: now }),
    ...(isRemoved && { canceled_at: null }),
  };
}

function matches(
  subscription: Stripe.Subscription,
  { customer, price, status, created, test_clock }: z.output<typeof SubscriptionFilter>,
): boolean {
  return (
    hasStatus(subscription, status) &&
    (customer === undefined || subscription.customer === customer) &&
    (price === undefined || subscription.items.data.some((item) => item.price.id === price)) &&
    (test_clock === undefined || subscription.test_clock === test_clock) &&
    within(subscription.created, created)
  );
}

function hasStatus({ status }: Stripe.Subscription, wanted: z.output<typeof SubscriptionFilter>["status"]): boolean {
  if (wanted === "all") return true;
  if (wanted === undefined) return status !== "canceled";
  if (wanted === "ended") return ["canceled", "incomplete_expired"].includes(status);
  return status === wanted;
}
