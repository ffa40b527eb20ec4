import { randomUUID } from "node:crypto";
import type Stripe from "stripe";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type Entitlement, entitlement } from "../../functions/core/entitlement";
import { answered, billingFixture, delivery } from "./fixture";

// Tests of plans that are not paid by card: a 100 % coupon, a payment outside of Stripe, or konbini.
const on = billingFixture();
vi.spyOn(console, "error").mockImplementation(() => {});
vi.spyOn(console, "log").mockImplementation(() => {});
afterEach(() => vi.clearAllMocks());

const DAY = 24 * 3600;
const FAILING = "pm_card_chargeCustomerFail";
type Terms = Omit<Stripe.SubscriptionCreateParams, "customer" | "items">;

interface Buyer {
  userId: string;
  customer: string;
  clock: string;
}

/** Creates a customer of this stack, with a test clock. */
async function buyer(card?: string): Promise<Buyer> {
  const userId = randomUUID();
  const now = Math.floor(Date.now() / 1000);
  const clock = await on().stripe.testHelpers.testClocks.create({ frozen_time: now });
  const { id } = await on().stripe.customers.create({
    metadata: { user_id: userId, owner: on().settings.stripeOwner },
    test_clock: clock.id,
    ...(card && { payment_method: card, invoice_settings: { default_payment_method: card } }),
  });
  return { userId, customer: id, clock: clock.id };
}

const subscribe = ({ customer }: Buyer, terms: Terms) =>
  on().stripe.subscriptions.create({ customer, items: [{ price: "price_paid" }], ...terms });

const coupon = async (more: Stripe.CouponCreateParams) =>
  (await on().stripe.coupons.create({ percent_off: 100, ...more })).id;

/** Delivers the customer's events of the given types, by default the newest event. Returns the plan. */
async function planOf({ userId, customer }: Buyer, ...types: string[]): Promise<Entitlement> {
  const { data } = await on().stripe.events.list({ limit: 100 });
  const own = data.filter(({ data: { object } }) => (object as { customer?: string }).customer === customer);
  const wanted = types.length > 0 ? own.filter(({ type }) => types.includes(type)) : own;
  const [event] = wanted;
  expect(event).toBeDefined();
  const answer = await answered(on().webhook(delivery(JSON.stringify(event))));
  expect(answer).toEqual({ status: 200, body: { received: true, outcome: "synced" } });
  return entitlement(await on().rows.get(userId), new Date(), on().settings.policy);
}

const changed = "customer.subscription.updated";
const advance = ({ clock }: Buyer, frozen_time: number) =>
  on().stripe.testHelpers.testClocks.advance(clock, { frozen_time });
const periodEnd = ({ items }: Stripe.Subscription) => items.data[0]?.current_period_end ?? 0;
const facts = async ({ userId }: Buyer) => (await on().rows.get(userId))?.subscriptions?.[0];

describe("period that a 100 % coupon made free", () => {
  it("gives the plan, and a grace period when the next renewal fails", async () => {
    const owner = await buyer(FAILING);
    const subscription = await subscribe(owner, { discounts: [{ coupon: await coupon({ duration: "once" }) }] });
    expect(subscription.status).toBe("active");
    expect(await planOf(owner, "invoice.paid")).toMatchObject({ plan: "paid", reason: "subscription" });
    const end = periodEnd(subscription);
    await advance(owner, end + 3_700);
    expect(await planOf(owner, changed)).toMatchObject({ plan: "paid", reason: "grace" });
    expect(await facts(owner)).toMatchObject({
      status: "past_due",
      unpaid_first: false,
      paid: [{ price_id: "price_paid", until: end }],
    });
  });
});

describe("invoice paid outside of Stripe", () => {
  it("gives the plan, and a grace period when the next renewal fails", async () => {
    const owner = await buyer(FAILING);
    const subscription = await subscribe(owner, {});
    expect(await planOf(owner, "invoice.payment_failed")).toMatchObject({ plan: "free", reason: "incomplete" });
    const invoice = await on().stripe.invoices.pay(String(subscription.latest_invoice), {
      paid_out_of_band: true,
      expand: ["amount_paid_off_stripe"],
    });
    expect(invoice).toMatchObject({ amount_paid: 0, amount_paid_off_stripe: 980 });
    expect(await planOf(owner, "invoice.paid")).toMatchObject({ plan: "paid", reason: "subscription" });
    await advance(owner, periodEnd(subscription) + 3_700);
    expect(await planOf(owner, changed)).toMatchObject({ plan: "paid", reason: "grace" });
    expect(await facts(owner)).toMatchObject({ status: "past_due", unpaid_first: false });
  });
});

describe("subscription paid by invoice at a konbini", () => {
  const byInvoice = (owner: Buyer) =>
    subscribe(owner, {
      collection_method: "send_invoice",
      days_until_due: 10,
      payment_settings: { payment_method_types: ["konbini"] },
    });
  const openInvoice = async ({ customer }: Buyer) => {
    const [invoice] = (await on().stripe.invoices.list({ customer, status: "open" })).data;
    return { id: invoice?.id ?? "", due: invoice?.due_date ?? 0 };
  };
  const pay = (id: string, outcome: "paid" | "expired") =>
    on().double.account.decideKonbini(on().double.account.orderAtKonbini(id).id, outcome);

  it("gives the plan until the due date, even after the payment code expires, but no grace period", async () => {
    const owner = await buyer();
    const { created } = await byInvoice(owner);
    await advance(owner, created + 3_700);
    const { id, due } = await openInvoice(owner);
    pay(id, "expired");
    expect(await planOf(owner, "invoice.payment_failed")).toMatchObject({ plan: "paid", reason: "subscription" });
    await advance(owner, due);
    expect(await planOf(owner, changed)).toMatchObject({ plan: "free", reason: "past_due" });
    pay(id, "paid");
    expect(await planOf(owner, "invoice.paid")).toMatchObject({ plan: "paid", reason: "subscription" });
  });

  it("has a grace period from the due date of an unpaid renewal, not from its creation", async () => {
    const owner = await buyer();
    const subscription = await byInvoice(owner);
    await advance(owner, subscription.created + 3_700);
    pay((await openInvoice(owner)).id, "paid");
    await advance(owner, periodEnd(subscription) + 3_700);
    const { due } = await openInvoice(owner);
    await advance(owner, due);
    expect(await planOf(owner, changed)).toMatchObject({
      plan: "paid",
      reason: "grace",
      graceUntil: new Date((due + 7 * DAY) * 1000),
    });
    await advance(owner, due + 7 * DAY);
    expect(await planOf(owner, changed)).toMatchObject({ plan: "free", reason: "past_due" });
  });
});

describe("one-time konbini purchase by a customer without a subscription", () => {
  it.each([
    ["paid", "checkout.session.async_payment_succeeded"],
    ["expired", "checkout.session.async_payment_failed"],
  ] as const)("gives no plan before it is %s, and no plan afterwards", async (outcome, type) => {
    const owner = await buyer();
    const bottle = { currency: "jpy", unit_amount: 5_000, product_data: { name: "Bottle" } };
    const { id: price } = await on().stripe.prices.create(bottle);
    const { id } = await on().stripe.checkout.sessions.create({
      mode: "payment",
      customer: owner.customer,
      line_items: [{ price, quantity: 1 }],
      success_url: "http://localhost/done",
      allowed_payment_method_types: ["konbini"],
    });
    const intent = on().double.account.orderAtKonbini(id);
    expect(await on().stripe.checkout.sessions.retrieve(id)).toMatchObject({ payment_status: "unpaid" });
    expect(await planOf(owner, "checkout.session.completed")).toMatchObject({ plan: "free", reason: "no_plan" });
    on().double.account.decideKonbini(intent.id, outcome);
    expect(await planOf(owner, type)).toMatchObject({ plan: "free", reason: "no_plan" });
  });
});
