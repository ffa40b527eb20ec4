import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Stripe from "stripe";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { type StripeDouble, startStripe } from "../../../local/stripe/server";
import { Events } from "../../../local/support/events";

/** The account's key. */
export const API_KEY = "sk_test_fixture";

/** Ids of the prices in a test's account. */
export const PAID = "price_test_paid";
export const VIP = "price_test_vip";
const catalogue = [
  { priceId: PAID, product: "常連プラン", nickname: "paid", unitAmountYen: 980 },
  { priceId: VIP, product: "VIPプラン", nickname: "vip", unitAmountYen: 2_980 },
];

/** A Stripe account for one test, and the real SDK. */
export interface StripeFixture {
  double: StripeDouble;
  stripe: Stripe;
  /** Folder of the account's state. */
  dir: string;
  /** Creates an SDK client with another key or other settings. */
  client(key?: string, config?: Stripe.StripeConfig): Stripe;
  /** Creates a customer on a test clock with a working card. */
  customer(card?: string): Promise<Stripe.Customer>;
  /** Creates a subscription. The default price is `PAID`. */
  subscription(customer: Stripe.Customer, price?: string): Promise<Stripe.Subscription>;
  /** Submits a form of a page without following the redirect. */
  submit(path: string, form?: Record<string, string>): Promise<Response>;
}

async function open(): Promise<StripeFixture & { close(): Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), "snack-stripe-"));
  const events = new Events();
  const double = await startStripe({ port: 0, dir, events, keys: [API_KEY], catalogue, checkoutWaitMs: 2_000 });
  const client = (key = API_KEY, config: Stripe.StripeConfig = {}) =>
    new Stripe(key, {
      protocol: "http",
      host: "127.0.0.1",
      port: double.port,
      telemetry: false,
      maxNetworkRetries: 0,
      timeout: 10_000,
      ...config,
    });
  const stripe = client();
  return {
    double,
    stripe,
    dir,
    client,
    async customer(card = "pm_card_visa") {
      const { id: test_clock } = await stripe.testHelpers.testClocks.create({ frozen_time: 1_800_000_000 });
      return stripe.customers.create({
        email: "mori@example.com",
        test_clock,
        payment_method: card,
        invoice_settings: { default_payment_method: card },
      });
    },
    subscription: ({ id }, price = PAID) =>
      stripe.subscriptions.create({ customer: id, items: [{ price }], metadata: { user_id: "user-1" } }),
    submit: (path, form = {}) =>
      fetch(`${double.url}${path}`, { method: "POST", body: new URLSearchParams(form), redirect: "manual" }),
    async close() {
      await double.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/**
 * Starts one Stripe account for each test, or one for the whole file when `perFile` is true. Call the returned function
 * only inside tests.
 */
export function stripeFixture({ perFile = false } = {}): () => StripeFixture {
  let current: Awaited<ReturnType<typeof open>> | undefined;
  (perFile ? beforeAll : beforeEach)(async () => {
    current = await open();
  });
  (perFile ? afterAll : afterEach)(() => current?.close());
  return () => {
    if (!current) throw new Error("The Stripe account is available only inside a test.");
    return current;
  };
}
