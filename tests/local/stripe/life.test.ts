import type Stripe from "stripe";
import { describe, expect, it } from "vitest";
import { PAID, stripeFixture, VIP } from "./fixture";

// These tests check how a subscription changes when time passes, when the customer uses the Checkout and portal pages,
// and when the bank disputes a payment (https://docs.stripe.com/billing/subscriptions/overview, /testing,
// /billing/testing/test-clocks).
const fixture = stripeFixture();
const DAY = 24 * 3600;

/** Types of all events, oldest first. */
async function types(stripe: Stripe): Promise<string[]> {
  const all: string[] = [];
  for await (const { type } of stripe.events.list({ limit: 100 })) all.unshift(type);
  return all;
}

const periodOf = ({ items }: Stripe.Subscription) => {
  const [item] = items.data;
  return { start: item?.current_period_start ?? 0, end: item?.current_period_end ?? 0 };
};

/** Advances the subscription's test clock to `moment` and reads the subscription. */
async function at(moment: number, { id, test_clock }: Stripe.Subscription): Promise<Stripe.Subscription> {
  const { stripe } = fixture();
  await stripe.testHelpers.testClocks.advance(String(test_clock), { frozen_time: moment });
  return stripe.subscriptions.retrieve(id, { expand: ["latest_invoice"] });
}

/** Opens a Checkout Session for a new customer without a test clock. */
async function openCheckout(): Promise<Stripe.Checkout.Session> {
  return fixture().stripe.checkout.sessions.create({
    mode: "subscription",
    customer_email: "mori@example.com",
    line_items: [{ price: PAID, quantity: 1 }],
    success_url: "http://localhost/done?session={CHECKOUT_SESSION_ID}",
    subscription_data: { metadata: { user_id: "user-1" } },
  });
}

describe("renewal", () => {
  it("starts the new period at once and charges an hour later", async () => {
    const { customer, subscription } = fixture();
    const first = await subscription(await customer());
    const { end } = periodOf(first);
    const drafted = await at(end + 60, first);
    expect(periodOf(drafted).start).toBe(end);
    expect(drafted).toMatchObject({ status: "active", latest_invoice: { status: "draft" } });
    const renewed = await at(end + 3_700, first);
    expect(renewed).toMatchObject({ status: "active", latest_invoice: { status: "paid" } });
  });

  it("is retried for two weeks when the card fails, then ends the subscription", async () => {
    const { stripe, customer, subscription } = fixture();
    const owner = await customer();
    const first = await subscription(owner);
    const poor = await stripe.paymentMethods.attach("pm_card_chargeCustomerFail", { customer: owner.id });
    await stripe.customers.update(owner.id, { invoice_settings: { default_payment_method: poor.id } });
    const { end } = periodOf(first);
    const due = await at(end + 3_700, first);
    expect(due).toMatchObject({ status: "past_due", latest_invoice: { status: "open", attempt_count: 1 } });
    expect(periodOf(due).start).toBe(end);
    const later = await at(end + 6 * DAY, first);
    expect(later).toMatchObject({ status: "past_due", latest_invoice: { attempt_count: 3 } });
    const ended = await at(end + 15 * DAY, first);
    expect(ended).toMatchObject({ status: "canceled", cancellation_details: { reason: "payment_failed" } });
    const failures = (await types(stripe)).filter((type) => type === "invoice.payment_failed");
    expect(failures.length).toBeGreaterThanOrEqual(4);
  });

  it("makes the subscription active again when the invoice is paid late", async () => {
    const { stripe, customer, subscription } = fixture();
    const owner = await customer();
    const first = await subscription(owner);
    const poor = await stripe.paymentMethods.attach("pm_card_chargeCustomerFail", { customer: owner.id });
    await stripe.customers.update(owner.id, { invoice_settings: { default_payment_method: poor.id } });
    const due = await at(periodOf(first).end + 3_700, first);
    const good = await stripe.paymentMethods.attach("pm_card_visa", { customer: owner.id });
    await stripe.customers.update(owner.id, { invoice_settings: { default_payment_method: good.id } });
    await stripe.invoices.pay((due.latest_invoice as Stripe.Invoice).id ?? "");
    expect((await stripe.subscriptions.retrieve(first.id)).status).toBe("active");
  });

  it("waits when the card requires 3-D Secure, until the customer pays at the portal", async () => {
    const { stripe, double, customer, subscription } = fixture();
    const owner = await customer();
    const first = await subscription(owner);
    double.account.replaceCard(owner.id, "4000002760003184");
    const due = await at(periodOf(first).end + 3_700, first);
    expect(due).toMatchObject({ status: "past_due", latest_invoice: { status: "open" } });
    expect(await types(stripe)).toContain("invoice.payment_action_required");
    expect(double.account.payOpenInvoices(owner.id)).toBe(true);
    expect((await stripe.subscriptions.retrieve(first.id)).status).toBe("active");
  });

  it("keeps the subscription active while collection is paused", async () => {
    const { stripe, customer, subscription } = fixture();
    const first = await subscription(await customer());
    await stripe.subscriptions.update(first.id, { pause_collection: { behavior: "void" } });
    const renewed = await at(periodOf(first).end + 3_700, first);
    expect(renewed).toMatchObject({
      status: "active",
      pause_collection: { behavior: "void" },
      latest_invoice: { status: "void" },
    });
  });
});

describe("first payment", () => {
  it("leaves the subscription incomplete for 23 hours when the card fails", async () => {
    const { customer, subscription } = fixture();
    const first = await subscription(await customer("pm_card_chargeCustomerFail"));
    expect(first.status).toBe("incomplete");
    const expired = await at(first.created + 23 * 3_600 + 60, first);
    expect(expired).toMatchObject({ status: "incomplete_expired", latest_invoice: { status: "void" } });
  });

  it("is charged after a trial", async () => {
    const { stripe, customer } = fixture();
    const owner = await customer();
    const trial = await stripe.subscriptions.create({
      customer: owner.id,
      items: [{ price: PAID }],
      trial_period_days: 7,
    });
    expect(trial.status).toBe("trialing");
    expect(await at((trial.trial_end ?? 0) + 3_700, trial)).toMatchObject({
      status: "active",
      latest_invoice: { status: "paid", amount_paid: 980 },
    });
  });
});

describe("Checkout page", () => {
  it("accepts a valid card and redirects with the session's id", async () => {
    const { stripe, submit } = fixture();
    const { id } = await openCheckout();
    const paid = await submit(`/c/pay/${id}`, { card_number: "4242 4242 4242 4242" });
    expect([paid.status, paid.headers.get("location")]).toEqual([303, `http://localhost/done?session=${id}`]);
    const session = await stripe.checkout.sessions.retrieve(id, { expand: ["subscription"] });
    expect(session).toMatchObject({
      status: "complete",
      payment_status: "paid",
      subscription: { status: "active", metadata: { user_id: "user-1" } },
    });
    const happened = await types(stripe);
    for (const type of [
      "customer.created",
      "customer.subscription.created",
      "invoice.paid",
      "customer.subscription.updated",
      "checkout.session.completed",
    ])
      expect(happened).toContain(type);
    // The customer.subscription.created event shows the status incomplete, although the payment has succeeded.
    const { data } = await stripe.events.list({ type: "customer.subscription.created" });
    expect(data).toMatchObject([{ data: { object: { status: "incomplete" } } }]);
    expect((await submit(`/c/pay/${id}`, { card_number: "4242424242424242" })).status).toBe(404);
  });

  it.each([
    ["4000000000000002", "declined"],
    ["4000000000009995", "insufficient funds"],
    ["1234", "not a card number"],
  ])("rejects card %s (%s) and then accepts another card", async (number) => {
    const { stripe, submit } = fixture();
    const { id } = await openCheckout();
    const declined = await submit(`/c/pay/${id}`, { card_number: number });
    expect(declined.status).toBe(402);
    expect(await declined.text()).toContain('role="alert"');
    expect((await stripe.checkout.sessions.retrieve(id)).status).toBe("open");
    expect((await submit(`/c/pay/${id}`, { card_number: "4242424242424242" })).status).toBe(303);
  });

  it("keeps the session open until 3-D Secure succeeds", async () => {
    const { stripe, submit } = fixture();
    const { id } = await openCheckout();
    const card_number = "4000002500003155";
    const asked = await submit(`/c/pay/${id}`, { card_number });
    expect([asked.status, await asked.text()]).toEqual([200, expect.stringContaining(`/c/pay/${id}/authenticate`)]);
    expect((await stripe.checkout.sessions.retrieve(id)).status).toBe("open");
    expect((await submit(`/c/pay/${id}/authenticate`, { card_number, result: "fail" })).status).toBe(402);
    expect((await submit(`/c/pay/${id}/authenticate`, { card_number, result: "success" })).status).toBe(303);
  });

  it("returns 404 for an expired session", async () => {
    const { stripe, submit } = fixture();
    const { id } = await openCheckout();
    await stripe.checkout.sessions.expire(id);
    expect((await submit(`/c/pay/${id}`, { card_number: "4242424242424242" })).status).toBe(404);
    expect((await stripe.subscriptions.list()).data).toEqual([]);
  });
});

describe("customer portal", () => {
  async function portal() {
    const { stripe, customer, subscription } = fixture();
    const owner = await customer();
    const bought = await subscription(owner);
    const { id } = await stripe.billingPortal.sessions.create({ customer: owner.id, return_url: "http://localhost/" });
    return { owner, bought, page: `/p/session/${id}` };
  }

  it("schedules a cancellation for the period's end and can resume the subscription", async () => {
    const { stripe, submit } = fixture();
    const { bought, page } = await portal();
    expect((await submit(`${page}/cancel`, { subscription: bought.id })).status).toBe(303);
    const cancelled = await stripe.subscriptions.retrieve(bought.id);
    expect(cancelled).toMatchObject({ cancel_at: periodOf(bought).end, cancel_at_period_end: false, status: "active" });
    await submit(`${page}/resume`, { subscription: bought.id });
    expect(await stripe.subscriptions.retrieve(bought.id)).toMatchObject({ cancel_at: null, canceled_at: null });
  });

  it("ends the subscription at cancel_at after a cancellation", async () => {
    const { submit } = fixture();
    const { bought, page } = await portal();
    await submit(`${page}/cancel`, { subscription: bought.id });
    expect(await at(periodOf(bought).end + 1, bought)).toMatchObject({
      status: "canceled",
      ended_at: periodOf(bought).end,
    });
  });

  it("changes the plan and charges a higher price at once", async () => {
    const { stripe, submit } = fixture();
    const { bought, page } = await portal();
    await submit(`${page}/change`, { subscription: bought.id, price: VIP });
    const changed = await stripe.subscriptions.retrieve(bought.id, { expand: ["latest_invoice"] });
    expect(changed.items.data[0]?.price.id).toBe(VIP);
    expect(changed.latest_invoice).toMatchObject({ status: "paid", billing_reason: "subscription_update" });
  });

  it("replaces the card", async () => {
    const { stripe, submit } = fixture();
    const { owner, page } = await portal();
    await submit(`${page}/card`, { card_number: "5555 5555 5555 4444" });
    const { invoice_settings } = (await stripe.customers.retrieve(owner.id, {
      expand: ["invoice_settings.default_payment_method"],
    })) as Stripe.Customer;
    expect(invoice_settings.default_payment_method).toMatchObject({ card: { last4: "4444", brand: "mastercard" } });
  });

  it("cannot cancel another customer's subscription", async () => {
    const { stripe, submit, customer, subscription } = fixture();
    const { page } = await portal();
    const other = await subscription(await customer());
    expect((await submit(`${page}/cancel`, { subscription: other.id })).status).toBe(402);
    expect((await stripe.subscriptions.retrieve(other.id)).cancel_at).toBeNull();
  });
});

describe("payment of a customer", () => {
  it("can be disputed, and the dispute can be won", async () => {
    const { stripe, double, customer, subscription } = fixture();
    const owner = await customer();
    const bought = await subscription(owner);
    const { id, charge } = double.account.disputeLatestCharge(owner.id);
    expect(await stripe.charges.retrieve(String(charge))).toMatchObject({ disputed: true });
    // A dispute does not end the subscription.
    expect((await stripe.subscriptions.retrieve(bought.id)).status).toBe("active");
    double.account.closeDispute(id, "won");
    expect((await stripe.disputes.retrieve(id)).status).toBe("won");
    const happened = await types(stripe);
    expect(happened).toContain("charge.dispute.created");
    expect(happened).toContain("charge.dispute.closed");
    await expect(stripe.refunds.create({ charge: String(charge) })).rejects.toMatchObject({ code: "charge_disputed" });
  });

  it("can be refunded up to the paid amount", async () => {
    const { stripe, customer, subscription } = fixture();
    const owner = await customer();
    const bought = await subscription(owner);
    const [charge] = (await stripe.charges.list({ customer: owner.id })).data;
    await stripe.refunds.create({ charge: charge?.id ?? "", amount: 500 });
    await expect(stripe.refunds.create({ charge: charge?.id ?? "", amount: 500 })).rejects.toMatchObject({
      param: "amount",
    });
    await stripe.refunds.create({ charge: charge?.id ?? "" });
    expect(await stripe.charges.retrieve(charge?.id ?? "")).toMatchObject({ refunded: true, amount_refunded: 980 });
    await expect(stripe.refunds.create({ charge: charge?.id ?? "" })).rejects.toMatchObject({
      code: "charge_already_refunded",
    });
    expect((await stripe.subscriptions.retrieve(bought.id)).status).toBe("active");
  });
});
