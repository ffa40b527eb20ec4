import type Stripe from "stripe";
import { describe, expect, it } from "vitest";
import { PAID, stripeFixture } from "./fixture";

// Tests of payments that do not charge a card at once: coupons (https://docs.stripe.com/billing/subscriptions/coupons),
// payments outside of Stripe, and konbini (https://docs.stripe.com/payments/konbini).
const fixture = stripeFixture();
const DAY = 24 * 3600;

/** Types of all events, oldest first. */
async function types(): Promise<string[]> {
  const { data } = await fixture().stripe.events.list({ limit: 100 });
  return data.map(({ type }) => type).reverse();
}

async function coupon(more: Partial<Stripe.CouponCreateParams> = {}): Promise<string> {
  return (await fixture().stripe.coupons.create({ percent_off: 100, duration: "once", ...more })).id;
}

const latestInvoice = ({ latest_invoice }: Stripe.Subscription) => latest_invoice as Stripe.Invoice;

/** Advances the subscription's test clock to `moment` and reads the subscription with its latest invoice. */
async function at(moment: number, { id, test_clock }: Stripe.Subscription): Promise<Stripe.Subscription> {
  const { stripe } = fixture();
  await stripe.testHelpers.testClocks.advance(String(test_clock), { frozen_time: moment });
  return stripe.subscriptions.retrieve(id, { expand: ["latest_invoice"] });
}

const periodEnd = ({ items }: Stripe.Subscription) => items.data[0]?.current_period_end ?? 0;

describe("coupon of 100 %", () => {
  it("makes a Checkout free, with no_payment_required and a paid invoice of 0", async () => {
    const { stripe, submit } = fixture();
    const { id, amount_total, total_details } = await stripe.checkout.sessions.create({
      mode: "subscription",
      customer_email: "mori@example.com",
      line_items: [{ price: PAID, quantity: 1 }],
      success_url: "http://localhost/done",
      discounts: [{ coupon: await coupon() }],
    });
    expect([amount_total, total_details?.amount_discount]).toEqual([0, 980]);
    expect((await submit(`/c/pay/${id}`, { card_number: "4242424242424242" })).status).toBe(303);
    const session = await stripe.checkout.sessions.retrieve(id, { expand: ["subscription", "invoice"] });
    expect(session).toMatchObject({
      status: "complete",
      payment_status: "no_payment_required",
      subscription: { status: "active" },
      invoice: { status: "paid", subtotal: 980, total: 0, amount_due: 0, amount_paid: 0 },
    });
    expect((await stripe.charges.list()).data).toEqual([]);
  });

  it("creates no subscription when the card is declined", async () => {
    const { stripe, submit } = fixture();
    const { id } = await stripe.checkout.sessions.create({
      mode: "subscription",
      customer_email: "mori@example.com",
      line_items: [{ price: PAID, quantity: 1 }],
      success_url: "http://localhost/done",
      discounts: [{ coupon: await coupon() }],
    });
    expect((await submit(`/c/pay/${id}`, { card_number: "4000000000000002" })).status).toBe(402);
    expect((await stripe.subscriptions.list({ status: "all" })).data).toEqual([]);
  });

  it.each<[string, Partial<Stripe.CouponCreateParams>, number[]]>([
    ["once", { duration: "once" }, [0, 980, 980]],
    ["for two months", { duration: "repeating", duration_in_months: 2 }, [0, 0, 980]],
    ["without an end", { duration: "forever" }, [0, 0, 0]],
  ])("applies %s", async (_name, given, totals) => {
    const { stripe, customer } = fixture();
    let subscription: Stripe.Subscription = await stripe.subscriptions.create({
      customer: (await customer()).id,
      items: [{ price: PAID }],
      discounts: [{ coupon: await coupon(given) }],
      expand: ["latest_invoice"],
    });
    const seen = [latestInvoice(subscription).total];
    for (let month = 1; month < 3; month++) {
      subscription = await at(periodEnd(subscription) + 3_700, subscription);
      seen.push(latestInvoice(subscription).total);
    }
    expect(seen).toEqual(totals);
    expect(latestInvoice(subscription)).toMatchObject({ status: "paid" });
  });

  it("needs no card", async () => {
    const { stripe } = fixture();
    const { id } = await stripe.customers.create({});
    const bought = { customer: id, items: [{ price: PAID }] };
    expect(await stripe.subscriptions.create({ ...bought, discounts: [{ coupon: await coupon() }] })).toMatchObject({
      status: "active",
    });
    const half = await coupon({ percent_off: 50 });
    await expect(stripe.subscriptions.create({ ...bought, discounts: [{ coupon: half }] })).rejects.toMatchObject({
      code: "resource_missing",
    });
  });
});

describe("invoice paid outside of Stripe", () => {
  it("has amount_paid 0, and amount_paid_off_stripe only when this field is expanded", async () => {
    const { stripe, customer, subscription } = fixture();
    const failing = await subscription(await customer("pm_card_chargeCustomerFail"));
    const id = String(failing.latest_invoice);
    const paid = await stripe.invoices.pay(id, { paid_out_of_band: true });
    expect(paid).toMatchObject({ status: "paid", amount_due: 980, amount_paid: 0, amount_remaining: 0 });
    expect(paid.amount_paid_off_stripe).toBeUndefined();
    expect(await stripe.invoices.retrieve(id, { expand: ["amount_paid_off_stripe"] })).toMatchObject({
      amount_paid_off_stripe: 980,
    });
    const listed = await stripe.invoices.list({ expand: ["data.amount_paid_off_stripe"] });
    expect(listed.data[0]?.amount_paid_off_stripe).toBe(980);
    const [event] = (await stripe.events.list({ type: "invoice.paid" })).data;
    expect(event?.data.object).not.toHaveProperty("amount_paid_off_stripe");
    const { data } = await stripe.invoicePayments.list({ invoice: id, status: "paid" });
    expect(data).toMatchObject([{ payment: { type: "payment_record" }, amount_paid: 980 }]);
    expect((await stripe.subscriptions.retrieve(failing.id)).status).toBe("active");
  });
});

describe("konbini for a one-time purchase at Checkout", () => {
  async function ordered() {
    const { stripe, double } = fixture();
    const { id: customer } = await stripe.customers.create({ email: "mori@example.com" });
    const { id: price } = await stripe.prices.create({
      currency: "jpy",
      unit_amount: 5_000,
      product_data: { name: "Bottle" },
    });
    const { id } = await stripe.checkout.sessions.create({
      mode: "payment",
      customer,
      line_items: [{ price, quantity: 1 }],
      success_url: "http://localhost/done",
      allowed_payment_method_types: ["konbini"],
    });
    return { session: id, intent: double.account.orderAtKonbini(id).id };
  }

  it("completes the session before the customer pays", async () => {
    const { stripe, double } = fixture();
    const { session, intent } = await ordered();
    expect(await stripe.checkout.sessions.retrieve(session)).toMatchObject({
      status: "complete",
      payment_status: "unpaid",
    });
    double.account.decideKonbini(intent, "paid");
    expect(await stripe.checkout.sessions.retrieve(session)).toMatchObject({ payment_status: "paid" });
    const seen = (await types()).filter((type) => type.startsWith("checkout."));
    expect(seen).toEqual(["checkout.session.completed", "checkout.session.async_payment_succeeded"]);
  });

  it("fails when the payment code expires", async () => {
    const { stripe, double } = fixture();
    const { session, intent } = await ordered();
    double.account.decideKonbini(intent, "expired");
    expect(await stripe.checkout.sessions.retrieve(session)).toMatchObject({
      status: "complete",
      payment_status: "unpaid",
    });
    expect(await types()).toEqual(
      expect.arrayContaining(["payment_intent.payment_failed", "checkout.session.async_payment_failed"]),
    );
    expect(() => double.account.decideKonbini(intent, "paid")).toThrow("The payment code cannot be used");
  });
});

describe("konbini for a subscription", () => {
  const byInvoice = async () => {
    const { stripe } = fixture();
    const { id: test_clock } = await stripe.testHelpers.testClocks.create({ frozen_time: 1_800_000_000 });
    const { id } = await stripe.customers.create({ email: "mori@example.com", test_clock });
    return stripe.subscriptions.create({
      customer: id,
      items: [{ price: PAID }],
      collection_method: "send_invoice",
      days_until_due: 10,
      payment_settings: { payment_method_types: ["konbini"] },
    });
  };

  it("is refused when Stripe does not send the invoices", async () => {
    const { stripe, customer } = fixture();
    const given = { items: [{ price: PAID }], payment_settings: { payment_method_types: ["konbini" as const] } };
    await expect(stripe.subscriptions.create({ customer: (await customer()).id, ...given })).rejects.toMatchObject({
      param: "payment_settings[payment_method_types]",
    });
  });

  it("is active until the due date, then past_due without a failed payment", async () => {
    const first = await byInvoice();
    expect(first.status).toBe("active");
    const sent = await at(first.created + 3_700, first);
    expect(sent).toMatchObject({ status: "active", latest_invoice: { status: "open", amount_paid: 0 } });
    const due = latestInvoice(sent).due_date ?? 0;
    expect(due).toBe(first.created + 3_600 + 10 * DAY);
    expect((await at(due - 1, first)).status).toBe("active");
    expect((await at(due, first)).status).toBe("past_due");
    expect(await types()).toContain("invoice.overdue");
    expect(await types()).not.toContain("invoice.payment_failed");
  });

  it("allows a second payment code after the first expires, and becomes active after the payment", async () => {
    const { stripe, double } = fixture();
    const first = await byInvoice();
    const { id = "", due_date } = latestInvoice(await at(first.created + 3_700, first));
    double.account.decideKonbini(double.account.orderAtKonbini(id).id, "expired");
    expect(await stripe.invoices.retrieve(id)).toMatchObject({ status: "open" });
    await at(due_date ?? 0, first);
    double.account.decideKonbini(double.account.orderAtKonbini(id).id, "paid");
    expect(await stripe.subscriptions.retrieve(first.id, { expand: ["latest_invoice"] })).toMatchObject({
      status: "active",
      latest_invoice: { status: "paid", amount_paid: 980 },
    });
  });
});
