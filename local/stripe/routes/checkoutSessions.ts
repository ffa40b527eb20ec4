import type Stripe from "stripe";
import { z } from "zod";
import type { StripeAccount } from "../account";
import { amountsOff } from "../discounts";
import { newId } from "../ids";
import { list, liveCustomer, oneTimePrice, recurringPrice } from "../lookups";
import * as blank from "../objectDefaults";
import { bool, expand, int, metadata, paging, timeRange, within } from "../parameters";
import { invalid } from "../problem";
import { expireSession, wallSeconds } from "../renewals";
import { nothing, type Route, route } from "../route";
import { DAY } from "../subscriptions";

const NewSession = z.strictObject({
  mode: z.enum(["subscription", "payment"]),
  line_items: z
    .array(z.strictObject({ price: z.string(), quantity: int.optional() }))
    .min(1)
    .max(20),
  success_url: z.string().regex(/^https?:\/\/.+/, "Not a valid URL"),
  cancel_url: z
    .string()
    .regex(/^https?:\/\/.+/, "Not a valid URL")
    .optional(),
  customer: z.string().optional(),
  customer_email: z.string().optional(),
  client_reference_id: z.string().max(200).optional(),
  expires_at: int.optional(),
  metadata: metadata.optional(),
  locale: z.string().optional(),
  allow_promotion_codes: bool.optional(),
  allowed_payment_method_types: z
    .array(z.enum(["card", "konbini"]))
    .min(1)
    .optional(),
  discounts: z
    .array(z.strictObject({ coupon: z.string() }))
    .max(1)
    .optional(),
  subscription_data: z
    .strictObject({
      metadata: metadata.optional(),
      trial_period_days: int.optional(),
      description: z.string().optional(),
    })
    .optional(),
  expand,
});

/** Checkout Sessions. */
export function checkoutSessionsRoutes(account: StripeAccount): Route[] {
  const { ledger } = account;
  return [
    route("POST /checkout/sessions", NewSession, (given) => createSession(account, given)),
    route("GET /checkout/sessions/:id", nothing, (_, id) => ledger.get("checkout.session", id, "session")),
    route(
      "GET /checkout/sessions",
      z.strictObject({
        customer: z.string().optional(),
        status: z.enum(["open", "complete", "expired"]).optional(),
        subscription: z.string().optional(),
        created: timeRange.optional(),
        ...paging,
      }),
      ({ customer, status, subscription, created, ...page }) =>
        list(
          ledger,
          "checkout.session",
          "/v1/checkout/sessions",
          page,
          (one) =>
            (customer === undefined || one.customer === customer) &&
            (status === undefined || one.status === status) &&
            (subscription === undefined || one.subscription === subscription) &&
            within(one.created, created),
        ),
    ),
    route("POST /checkout/sessions/:id/expire", nothing, (_, id) => {
      const { status } = ledger.get("checkout.session", id, "session");
      if (status !== "open")
        throw invalid(
          `Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of \`${status}\`.`,
        );
      return expireSession(ledger, id);
    }),
    route("GET /checkout/sessions/:id/line_items", z.strictObject(paging), (_, id) => {
      const sold = account.purchase(ledger.get("checkout.session", id, "session").id);
      const data = sold.map(({ price, quantity }) => blank.lineItem({ id: newId("li", 14), price, quantity }));
      return { object: "list", data, has_more: false, url: `/v1/checkout/sessions/${id}/line_items` };
    }),
  ];
}

function createSession(account: StripeAccount, given: z.output<typeof NewSession>): Stripe.Checkout.Session {
  const { ledger } = account;
  checkCombination(given);
  const isSubscription = given.mode === "subscription";
  const customer = given.customer === undefined ? undefined : liveCustomer(ledger, given.customer);
  const now = wallSeconds();
  const items = given.line_items.map(({ price, quantity = 1 }, at) => ({
    price: (isSubscription ? recurringPrice : oneTimePrice)(ledger, price, `line_items[${at}][price]`),
    quantity,
  }));
  const coupons = (given.discounts ?? []).map(({ coupon }) => ledger.get("coupon", coupon, "discounts[0][coupon]"));
  const amounts = items.map(({ price, quantity }) => (price.unit_amount ?? 0) * quantity);
  const amount_subtotal = sum(amounts);
  const id = newId("cs_test", 58);
  ledger.set("purchases", id, {
    items: items.map(({ price, quantity }) => ({ price: price.id, quantity })),
    metadata: given.subscription_data?.metadata ?? {},
    trialDays: given.subscription_data?.trial_period_days ?? 0,
    coupons: coupons.map(({ id }) => id),
  });
  return ledger.put(
    "checkout.session",
    blank.checkoutSession({
      id,
      created: now,
      customer: customer?.id ?? null,
      customer_email: given.customer_email ?? null,
      client_reference_id: given.client_reference_id ?? null,
      success_url: given.success_url,
      cancel_url: given.cancel_url ?? null,
      expires_at: expiryOf(given.expires_at, now),
      metadata: given.metadata ?? {},
      currency: items[0]?.price.currency ?? "jpy",
      amount_subtotal,
      amount_total: amount_subtotal - sum(coupons.flatMap((coupon) => amountsOff(coupon, amounts))),
      discounts: coupons.map((coupon) => ({ coupon: coupon.id, promotion_code: null })),
      mode: given.mode,
      payment_method_types: given.allowed_payment_method_types ?? ["card"],
      url: account.pageUrl(`/c/pay/${id}`),
      locale: (given.locale as Stripe.Checkout.Session.Locale | undefined) ?? null,
      allow_promotion_codes: given.allow_promotion_codes ?? null,
    }),
  );
}

/** Refuses parameters that Stripe does not accept together, and parameters that the double does not support. */
function checkCombination(given: z.output<typeof NewSession>): void {
  const isSubscription = given.mode === "subscription";
  const paymentTypes = given.allowed_payment_method_types ?? ["card"];
  // Checkout takes konbini only for one-time prices: https://docs.stripe.com/payments/konbini/accept-a-payment
  if (isSubscription && paymentTypes.includes("konbini"))
    throw invalid(
      "The payment method `konbini` cannot be used in `subscription` mode.",
      "allowed_payment_method_types",
    );
  if (!isSubscription && paymentTypes.join() !== "konbini")
    throw invalid("The double supports mode=subscription, and mode=payment with konbini.", "mode");
  if (!isSubscription && given.subscription_data)
    throw invalid("You can not pass `subscription_data` in `payment` mode.", "subscription_data");
  if (given.discounts && given.allow_promotion_codes !== undefined)
    throw invalid("You may only specify one of these parameters: allow_promotion_codes, discounts.");
  if (given.customer && given.customer_email)
    throw invalid("You may only specify one of these parameters: customer, customer_email.");
}

/** Returns the session's expiry time. Stripe counts the lifetime from `now`, the arrival of the request. */
function expiryOf(wanted: number | undefined, now: number): number {
  const expiresAt = wanted ?? now + DAY;
  if (expiresAt < now + 30 * 60)
    throw invalid(
      "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.",
      "expires_at",
    );
  if (expiresAt > now + DAY)
    throw invalid(
      "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.",
      "expires_at",
    );
  return expiresAt;
}

function sum(amounts: number[]): number {
  return amounts.reduce((total, amount) => total + amount, 0);
}
