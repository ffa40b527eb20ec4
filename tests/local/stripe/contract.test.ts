import Stripe from "stripe";
import { beforeAll, describe, expect, it } from "vitest";
import { routes } from "../../../local/stripe/routes";
import { DEFAULT_CONFIGURATION } from "../../../local/stripe/routes/portalSessions";
import { createSwitches } from "../../../local/stripe/switches";
import { PAID, stripeFixture, VIP } from "./fixture";
import { checkShapes, type TypedAnswer } from "./shapes";

// These tests make every API call that the double supports, with the real SDK over HTTP and one account. The final
// tests check that no call is missing and that every answer matches the SDK's type.
const fixture = stripeFixture({ perFile: true });
const answers: TypedAnswer[] = [];
const called = new Set<string>();
let customer: Stripe.Customer;
let paid: Stripe.Subscription;

/** Defines a test named after one call. `type` is the SDK's type of the answer, or `List<…>` for a page of a list. */
function call<T>(name: string, type: string, make: (stripe: Stripe) => Promise<T>, then?: (answer: T) => unknown) {
  it(`${name} returns ${type}`, async () => {
    const answer = await make(fixture().stripe);
    answers.push({ call: name, type: type.replace(/^List</, "Stripe.ApiList<"), answer });
    await then?.(answer);
  });
}

const ids = ({ data }: { data: { id: string }[] }) => data.map(({ id }) => id);
const clockOf = () => String(customer.test_clock);

beforeAll(async () => {
  const { stripe, double } = fixture();
  const known = routes(double.account, createSwitches()).map(({ method, path }) => ({
    name: `${method} /v1${path}`,
    method,
    pattern: new RegExp(`^/v1${path.replaceAll(/:\w+/g, "[^/]+")}$`),
  }));
  stripe.on("response", ({ method, path }: Stripe.ResponseEvent) => {
    const { pathname } = new URL(path, "http://stripe");
    // The double uses the first matching route, because /customers/search also matches /customers/:id.
    const route = known.find((one) => one.method === method && one.pattern.test(pathname));
    called.add(route?.name ?? `${method} ${pathname}`);
  });
  customer = await fixture().customer();
  paid = await fixture().subscription(customer);
});

describe("customers", () => {
  call(
    "POST /v1/customers",
    "Stripe.Customer",
    (stripe) => stripe.customers.create({ email: "hoshi@example.com", metadata: { user_id: "u" } }),
    (made) => expect(made).toMatchObject({ email: "hoshi@example.com", metadata: { user_id: "u" }, livemode: false }),
  );
  call("GET /v1/customers/:id", "Stripe.Customer | Stripe.DeletedCustomer", (stripe) =>
    stripe.customers.retrieve(customer.id),
  );
  call(
    "POST /v1/customers/:id",
    "Stripe.Customer",
    (stripe) => stripe.customers.update(customer.id, { name: "森", metadata: { env: "test" } }),
    (changed) => expect(changed).toMatchObject({ name: "森", metadata: { env: "test" } }),
  );
  call(
    "GET /v1/customers",
    "List<Stripe.Customer>",
    (stripe) => stripe.customers.list({ email: "mori@example.com" }),
    (page) => expect(ids(page)).toEqual([customer.id]),
  );
  call(
    "DELETE /v1/customers/:id",
    "Stripe.DeletedCustomer",
    async (stripe) => stripe.customers.del((await stripe.customers.create()).id),
    async ({ id, deleted }) => {
      expect(deleted).toBe(true);
      expect(await fixture().stripe.customers.retrieve(id)).toMatchObject({ deleted: true });
    },
  );
  call("POST /v1/payment_methods/:id/attach", "Stripe.PaymentMethod", (stripe) =>
    stripe.paymentMethods.attach("pm_card_mastercard", { customer: customer.id }),
  );
  call("GET /v1/payment_methods/:id", "Stripe.PaymentMethod", async (stripe) =>
    stripe.paymentMethods.retrieve(String(customer.invoice_settings.default_payment_method)),
  );
  call("GET /v1/customers/:id/payment_methods", "List<Stripe.PaymentMethod>", (stripe) =>
    stripe.customers.listPaymentMethods(customer.id),
  );
});

describe("products and prices", () => {
  let product: Stripe.Product;
  call(
    "POST /v1/products",
    "Stripe.Product",
    (stripe) => stripe.products.create({ name: "ボトルキープ" }),
    (made) => {
      product = made;
    },
  );
  call("GET /v1/products/:id", "Stripe.Product", (stripe) => stripe.products.retrieve(product.id));
  call("GET /v1/products", "List<Stripe.Product>", (stripe) => stripe.products.list({ active: true }));
  call(
    "POST /v1/prices",
    "Stripe.Price",
    (stripe) =>
      stripe.prices.create({
        product: product.id,
        currency: "jpy",
        unit_amount: 5_000,
        recurring: { interval: "year" },
        lookup_key: "bottle",
      }),
    (price) => expect(price).toMatchObject({ unit_amount: 5_000, recurring: { interval: "year" }, active: true }),
  );
  call("GET /v1/prices/:id", "Stripe.Price", (stripe) => stripe.prices.retrieve(PAID));
  call(
    "GET /v1/prices",
    "List<Stripe.Price>",
    (stripe) => stripe.prices.list({ lookup_keys: ["bottle"], type: "recurring" }),
    ({ data }) => expect(data).toHaveLength(1),
  );
});

describe("coupons", () => {
  call(
    "POST /v1/coupons",
    "Stripe.Coupon",
    (stripe) =>
      stripe.coupons.create({ id: "regulars", percent_off: 100, duration: "repeating", duration_in_months: 2 }),
    (coupon) => expect(coupon).toMatchObject({ id: "regulars", percent_off: 100, valid: true }),
  );
  call("GET /v1/coupons/:id", "Stripe.Coupon", (stripe) => stripe.coupons.retrieve("regulars"));
});

describe("Checkout and the customer portal", () => {
  let session: Stripe.Checkout.Session;
  call(
    "POST /v1/checkout/sessions",
    "Stripe.Checkout.Session",
    (stripe) =>
      stripe.checkout.sessions.create({
        mode: "subscription",
        customer: customer.id,
        line_items: [{ price: VIP, quantity: 1 }],
        success_url: "http://localhost/done?session={CHECKOUT_SESSION_ID}",
        cancel_url: "http://localhost/",
        client_reference_id: "user-1",
        subscription_data: { metadata: { user_id: "user-1" } },
      }),
    (made) => {
      session = made;
      expect(made).toMatchObject({ status: "open", payment_status: "unpaid", subscription: null });
      expect(made.url).toMatch(/^http:/);
    },
  );
  call("GET /v1/checkout/sessions/:id", "Stripe.Checkout.Session", (stripe) =>
    stripe.checkout.sessions.retrieve(session.id),
  );
  call(
    "GET /v1/checkout/sessions",
    "List<Stripe.Checkout.Session>",
    (stripe) => stripe.checkout.sessions.list({ customer: customer.id, status: "open" }),
    (page) => expect(ids(page)).toEqual([session.id]),
  );
  call(
    "GET /v1/checkout/sessions/:id/line_items",
    "List<Stripe.LineItem>",
    (stripe) => stripe.checkout.sessions.listLineItems(session.id),
    ({ data }) => expect(data[0]?.price?.id).toBe(VIP),
  );
  call(
    "POST /v1/checkout/sessions/:id/expire",
    "Stripe.Checkout.Session",
    (stripe) => stripe.checkout.sessions.expire(session.id),
    (expired) => expect(expired).toMatchObject({ status: "expired", url: null }),
  );
  call(
    "POST /v1/billing_portal/sessions",
    "Stripe.BillingPortal.Session",
    (stripe) => stripe.billingPortal.sessions.create({ customer: customer.id, return_url: "http://localhost/" }),
    (made) => expect(made.url).toMatch(/^http:/),
  );
  call(
    "GET /v1/billing_portal/configurations",
    "Stripe.ApiList<Stripe.BillingPortal.Configuration>",
    (stripe) => stripe.billingPortal.configurations.list({ is_default: true, active: true }),
    ({ data }) => expect(data[0]?.features.subscription_update.enabled).toBe(true),
  );
  call(
    "GET /v1/billing_portal/configurations/:id",
    "Stripe.BillingPortal.Configuration",
    (stripe) => stripe.billingPortal.configurations.retrieve(DEFAULT_CONFIGURATION),
    ({ id }) => expect(id).toBe(DEFAULT_CONFIGURATION),
  );
});

describe("subscriptions", () => {
  call(
    "POST /v1/subscriptions",
    "Stripe.Subscription",
    (stripe) =>
      stripe.subscriptions.create({
        customer: customer.id,
        items: [{ price: VIP }],
        trial_period_days: 7,
        expand: ["latest_invoice"],
      }),
    (made) => expect(made).toMatchObject({ status: "trialing", latest_invoice: { object: "invoice" } }),
  );
  call("GET /v1/subscriptions/:id", "Stripe.Subscription", (stripe) => stripe.subscriptions.retrieve(paid.id));
  call(
    "GET /v1/subscriptions",
    "List<Stripe.Subscription>",
    (stripe) =>
      stripe.subscriptions.list({ customer: customer.id, status: "all", expand: ["data.latest_invoice"], limit: 100 }),
    ({ data }) => expect(data).toHaveLength(2),
  );
  call(
    "POST /v1/subscriptions/:id",
    "Stripe.Subscription",
    (stripe) => stripe.subscriptions.update(paid.id, { cancel_at_period_end: true, metadata: { note: "bye" } }),
    (changed) => {
      expect(changed).toMatchObject({ cancel_at_period_end: true, status: "active", metadata: { note: "bye" } });
      expect(changed.cancel_at).toBe(changed.items.data[0]?.current_period_end);
    },
  );
  call(
    "GET /v1/subscription_items",
    "List<Stripe.SubscriptionItem>",
    (stripe) => stripe.subscriptionItems.list({ subscription: paid.id }),
    ({ data }) => expect(data[0]?.price.id).toBe(PAID),
  );
  call(
    "DELETE /v1/subscriptions/:id",
    "Stripe.Subscription",
    async (stripe) => stripe.subscriptions.cancel((await fixture().subscription(customer, VIP)).id),
    (ended) => expect(ended).toMatchObject({ status: "canceled", ended_at: expect.any(Number) }),
  );
});

describe("invoices", () => {
  const latest = () => String(paid.latest_invoice);
  /** Creates an open invoice whose payment fails. */
  async function unpaid(stripe: Stripe): Promise<string> {
    const poor = await fixture().customer("pm_card_chargeCustomerFail");
    const { latest_invoice } = await fixture().subscription(poor);
    await stripe.customers.update(poor.id, { metadata: { poor: "yes" } });
    return String(latest_invoice);
  }
  call(
    "GET /v1/invoices/:id",
    "Stripe.Invoice",
    (stripe) => stripe.invoices.retrieve(latest()),
    (invoice) => {
      expect(invoice).toMatchObject({ status: "paid", amount_paid: 980, billing_reason: "subscription_create" });
      expect(invoice.parent?.subscription_details?.subscription).toBe(paid.id);
    },
  );
  call("GET /v1/invoices", "List<Stripe.Invoice>", (stripe) => stripe.invoices.list({ subscription: paid.id }));
  call(
    "POST /v1/invoices/:id/pay",
    "Stripe.Invoice",
    async (stripe) => {
      const id = await unpaid(stripe);
      const refusal = await stripe.invoices.pay(id).catch((error: unknown) => error);
      expect(refusal).toBeInstanceOf(Stripe.errors.StripeCardError);
      const { customer: owner } = await stripe.invoices.retrieve(id);
      const { id: card } = await stripe.paymentMethods.attach("pm_card_visa", { customer: String(owner) });
      await stripe.customers.update(String(owner), { invoice_settings: { default_payment_method: card } });
      return stripe.invoices.pay(id);
    },
    (invoice) => expect(invoice.status).toBe("paid"),
  );
  call(
    "POST /v1/invoices/:id/finalize",
    "Stripe.Invoice",
    async (stripe) => {
      const renewing = await fixture().customer();
      const { id, items } = await fixture().subscription(renewing);
      const frozen_time = (items.data[0]?.current_period_end ?? 0) + 60;
      await stripe.testHelpers.testClocks.advance(String(renewing.test_clock), { frozen_time });
      const [draft] = (await stripe.invoices.list({ subscription: id, status: "draft" })).data;
      return stripe.invoices.finalizeInvoice(draft?.id ?? "");
    },
    (invoice) => expect(invoice).toMatchObject({ status: "open", billing_reason: "subscription_cycle" }),
  );
  call(
    "POST /v1/invoices/:id/void",
    "Stripe.Invoice",
    async (stripe) => stripe.invoices.voidInvoice(await unpaid(stripe)),
    (invoice) => expect(invoice.status).toBe("void"),
  );
  call(
    "POST /v1/invoices/:id/mark_uncollectible",
    "Stripe.Invoice",
    async (stripe) => stripe.invoices.markUncollectible(await unpaid(stripe)),
    (invoice) => expect(invoice.status).toBe("uncollectible"),
  );
  call(
    "GET /v1/invoice_payments",
    "List<Stripe.InvoicePayment>",
    (stripe) => stripe.invoicePayments.list({ invoice: latest() }),
    ({ data }) => expect(data[0]).toMatchObject({ status: "paid", amount_paid: 980 }),
  );
  call("GET /v1/payment_intents/:id", "Stripe.PaymentIntent", async (stripe) => {
    const { data } = await stripe.invoicePayments.list({ invoice: latest() });
    return stripe.paymentIntents.retrieve(String(data[0]?.payment.payment_intent));
  });
});

describe("charges, refunds and disputes", () => {
  let charge: Stripe.Charge;
  let dispute: Stripe.Dispute;
  call(
    "GET /v1/charges",
    "List<Stripe.Charge>",
    (stripe) => stripe.charges.list({ customer: customer.id }),
    ({ data }) => {
      const found = data.find(({ amount }) => amount === 980);
      if (found) charge = found;
      expect(found).toMatchObject({ status: "succeeded", paid: true, refunded: false });
    },
  );
  call("GET /v1/charges/:id", "Stripe.Charge", (stripe) => stripe.charges.retrieve(charge.id));
  call(
    "POST /v1/refunds",
    "Stripe.Refund",
    (stripe) => stripe.refunds.create({ charge: charge.id, amount: 100 }),
    async (refund) => {
      expect(refund).toMatchObject({ amount: 100, status: "succeeded" });
      expect(await fixture().stripe.charges.retrieve(charge.id)).toMatchObject({
        amount_refunded: 100,
        refunded: false,
      });
    },
  );
  call("GET /v1/refunds", "List<Stripe.Refund>", (stripe) => stripe.refunds.list({ charge: charge.id }));
  call("GET /v1/refunds/:id", "Stripe.Refund", async (stripe) => {
    const { data } = await stripe.refunds.list({ charge: charge.id });
    return stripe.refunds.retrieve(data[0]?.id ?? "");
  });
  call(
    "GET /v1/disputes",
    "List<Stripe.Dispute>",
    async (stripe) => {
      fixture().double.account.disputeLatestCharge(customer.id);
      return stripe.disputes.list();
    },
    ({ data }) => {
      const [found] = data;
      if (found) dispute = found;
      expect(found).toMatchObject({ status: "needs_response", reason: "fraudulent" });
    },
  );
  call("GET /v1/disputes/:id", "Stripe.Dispute", (stripe) => stripe.disputes.retrieve(dispute.id));
  call(
    "POST /v1/disputes/:id",
    "Stripe.Dispute",
    (stripe) => stripe.disputes.update(dispute.id, { evidence: { product_description: "水割り" }, submit: true }),
    ({ status }) => expect(status).toBe("under_review"),
  );
  call(
    "POST /v1/disputes/:id/close",
    "Stripe.Dispute",
    (stripe) => stripe.disputes.close(dispute.id),
    ({ status }) => expect(status).toBe("lost"),
  );
});

describe("events and webhook endpoints", () => {
  let endpoint: Stripe.WebhookEndpoint;
  call(
    "GET /v1/events",
    "List<Stripe.Event>",
    (stripe) => stripe.events.list({ types: ["customer.subscription.*"], limit: 1 }),
    ({ data, has_more }) => {
      expect(data[0]?.type).toMatch(/^customer\.subscription\./);
      expect(has_more).toBe(true);
    },
  );
  call("GET /v1/events/:id", "Stripe.Event", async (stripe) => {
    const { data } = await stripe.events.list({ type: "invoice.paid", limit: 1 });
    return stripe.events.retrieve(data[0]?.id ?? "");
  });
  call(
    "POST /v1/webhook_endpoints",
    "Stripe.WebhookEndpoint",
    (stripe) =>
      stripe.webhookEndpoints.create({
        url: "http://127.0.0.1:9/webhook",
        enabled_events: ["customer.deleted"],
        api_version: Stripe.API_VERSION,
        metadata: { stack: "test" },
      }),
    (made) => {
      endpoint = made;
      expect(made.secret).toMatch(/^whsec_/);
      expect(made.api_version).toBe(Stripe.API_VERSION);
    },
  );
  call(
    "GET /v1/webhook_endpoints/:id",
    "Stripe.WebhookEndpoint",
    (stripe) => stripe.webhookEndpoints.retrieve(endpoint.id),
    (found) => expect(found).not.toHaveProperty("secret"),
  );
  call("GET /v1/webhook_endpoints", "List<Stripe.WebhookEndpoint>", (stripe) => stripe.webhookEndpoints.list());
  call(
    "POST /v1/webhook_endpoints/:id",
    "Stripe.WebhookEndpoint",
    (stripe) => stripe.webhookEndpoints.update(endpoint.id, { disabled: true, enabled_events: ["*"] }),
    (changed) => expect(changed).toMatchObject({ status: "disabled", enabled_events: ["*"] }),
  );
  call("DELETE /v1/webhook_endpoints/:id", "Stripe.DeletedWebhookEndpoint", (stripe) =>
    stripe.webhookEndpoints.del(endpoint.id),
  );
});

describe("test clocks", () => {
  call("POST /v1/test_helpers/test_clocks", "Stripe.TestHelpers.TestClock", (stripe) =>
    stripe.testHelpers.testClocks.create({ frozen_time: 1_800_000_000, name: "clock" }),
  );
  call("GET /v1/test_helpers/test_clocks/:id", "Stripe.TestHelpers.TestClock", (stripe) =>
    stripe.testHelpers.testClocks.retrieve(clockOf()),
  );
  call("GET /v1/test_helpers/test_clocks", "List<Stripe.TestHelpers.TestClock>", (stripe) =>
    stripe.testHelpers.testClocks.list(),
  );
  call(
    "POST /v1/test_helpers/test_clocks/:id/advance",
    "Stripe.TestHelpers.TestClock",
    (stripe) =>
      stripe.testHelpers.testClocks.advance(clockOf(), {
        frozen_time: (paid.items.data[0]?.current_period_end ?? 0) + 60,
      }),
    async () => expect(await fixture().stripe.subscriptions.retrieve(paid.id)).toMatchObject({ status: "canceled" }),
  );
  call("DELETE /v1/test_helpers/test_clocks/:id", "Stripe.TestHelpers.DeletedTestClock", async (stripe) => {
    const { id } = await stripe.testHelpers.testClocks.create({ frozen_time: 1_800_000_000 });
    return stripe.testHelpers.testClocks.del(id);
  });
});

describe("API calls", () => {
  it("are all tested", () => {
    const known = routes(fixture().double.account, createSwitches()).map(({ method, path }) => `${method} /v1${path}`);
    expect([...called].sort()).toEqual(known.sort());
    expect(new Set(answers.map((answer) => answer.call))).toEqual(new Set(known));
  });

  it("return answers that match the SDK's types", () => {
    expect(checkShapes(answers)).toEqual([]);
  });

  it("fail the type check when an answer has an extra, missing or wrong field", () => {
    const { email: _, ...less } = customer;
    const broken = [less, { ...less, email: 5 }, { ...customer, current_period_end: 1 }];
    const complaints = [customer, ...broken].map((answer, index) => ({
      call: `answer ${index}`,
      type: "Stripe.Customer",
      answer,
    }));
    expect(checkShapes(complaints).map((complaint) => complaint.split(":")[0])).toEqual([
      "answer 1",
      "answer 2",
      "answer 3",
    ]);
  });
});
