import { randomUUID } from "node:crypto";
import Stripe from "stripe";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PaidPlan } from "../../contract/plan";
import { isLive } from "../../functions/core/entitlement";
import type { Caller } from "../../functions/lib/identity";
import { type BillingSettings, createBilling } from "../../functions/stripe/billing";
import { openCheckoutSession } from "../../functions/stripe/checkoutSession";
import { createCheckoutAttempts } from "../../functions/tables/checkoutAttempts";
import { type SuiteCloud, suiteCloud } from "../suiteCloud";
import { type CrashProxy, startCrashProxy } from "./crashProxy";

// These tests use the program's real tables and a Stripe double. Each request has separate clients, like a separate
// process. A request may crash at any call.
const prices: Record<PaidPlan, string> = { paid: "price_local_paid", vip: "price_local_vip" };
let cloud: SuiteCloud["cloud"];
let double: SuiteCloud["stripe"];
let stripe: Stripe;
/** Proxies for requests that do not crash. */
let steady: CrashProxy;

beforeAll(async () => {
  ({ cloud, stripe: double } = await suiteCloud());
  stripe = new Stripe(cloud.config().values["snack-misaki:stripeApiKey"] ?? "", {
    host: "localhost",
    port: double.port,
    protocol: "http",
  });
  steady = await startProxy();
});

afterAll(() => steady?.close());

const table = (keyName: string) =>
  String(
    cloud.aws.account.list("aws:dynamodb/table:Table").find(({ outputs }) => outputs.hashKey === keyName)?.outputs.name,
  );

const newCaller = (): Caller => {
  const userId = randomUUID();
  return { userId, email: `${userId}@example.com` };
};

/** Starts the proxies for one request. */
const startProxy = (crash?: { at: number; when: "before" | "after" }) =>
  startCrashProxy({ stripe: double.url, dynamodb: cloud.aws.endpoints.dynamodb, ssm: cloud.aws.endpoints.ssm }, crash);

/** Sends one checkout request whose calls go through the given proxies. */
async function checkout(caller: Caller, plan: PaidPlan, { urls }: CrashProxy): Promise<string> {
  const env = {
    AWS_REGION: cloud.aws.account.region,
    AWS_ACCESS_KEY_ID: "local",
    AWS_SECRET_ACCESS_KEY: "local",
    AWS_ENDPOINT_URL_DYNAMODB: urls.dynamodb,
    AWS_ENDPOINT_URL_SSM: urls.ssm,
  };
  Object.assign(process.env, env);
  const settings: BillingSettings = {
    stripeApiUrl: urls.stripe ?? "",
    stripeKeyParameter: "/snack-misaki/start/stripe-api-key",
    stripeOwner: "snack-misaki/start",
    usersTable: table("user_id"),
    policy: { prices: { paid: [prices.paid], vip: [prices.vip] }, graceDays: 7 },
  };
  const billing = createBilling(settings);
  const attempts = createCheckoutAttempts(table("pk"));
  const { client } = await billing.connection();
  const purchase = { plan, priceId: prices[plan], returnUrl: "http://localhost:5173/" };
  return openCheckoutSession(caller, purchase, { stripe: client, billing, attempts, owner: settings.stripeOwner });
}

const once = (caller: Caller, plan: PaidPlan = "paid") => checkout(caller, plan, steady);

/** Reads the caller's open sessions and live subscriptions from Stripe. */
async function atStripe({ userId }: Caller) {
  const customers = (await stripe.customers.list({ limit: 100 })).data.filter(
    ({ metadata }) => metadata.user_id === userId,
  );
  const of = async <T>(list: (customer: string) => Promise<{ data: T[] }>) =>
    (await Promise.all(customers.map(({ id }) => list(id)))).flatMap(({ data }) => data);
  const sessions = await of((customer) => stripe.checkout.sessions.list({ customer, limit: 100 }));
  const subscriptions = await of((customer) => stripe.subscriptions.list({ customer, status: "all", limit: 100 }));
  return { customers, open: sessions.filter(({ status }) => status === "open"), live: subscriptions.filter(isLive) };
}

/** Tries to pay every session, like a customer with several open browser tabs. */
async function payAll(urls: string[]): Promise<void> {
  for (const url of new Set(urls)) {
    const body = new URLSearchParams({ card_number: "4242424242424242" });
    await fetch(url, { method: "POST", body, redirect: "manual" });
  }
}

describe("concurrent checkout requests", () => {
  it("return the same session when they ask for the same plan", async () => {
    const caller = newCaller();
    const urls = await Promise.all(Array.from({ length: 6 }, () => once(caller)));
    expect(new Set(urls).size).toBe(1);
    const { customers, open } = await atStripe(caller);
    expect({ customers: customers.length, open: open.length }).toEqual({ customers: 1, open: 1 });
    await payAll(urls);
    expect((await atStripe(caller)).live).toHaveLength(1);
    await expect(once(caller)).rejects.toMatchObject({ code: "already_subscribed" });
  });

  it("all get an answer when they alternate between two plans, and only one session stays payable", async () => {
    const caller = newCaller();
    const plans: PaidPlan[] = ["paid", "vip", "paid", "vip"];
    const urls = await Promise.all(plans.map((plan) => once(caller, plan)));
    expect((await atStripe(caller)).open.length).toBeLessThanOrEqual(1);
    await payAll([...urls, await once(caller)]);
    expect((await atStripe(caller)).live).toHaveLength(1);
  });

  it("create only one subscription when the customer pays the first session during a second request", async () => {
    const caller = newCaller();
    const first = await once(caller);
    const [, second] = await Promise.allSettled([payAll([first]), once(caller, "vip")]);
    if (second.status === "fulfilled") await payAll([second.value]);
    else expect(second.reason).toMatchObject({ code: "already_subscribed" });
    expect((await atStripe(caller)).live).toHaveLength(1);
  });
});

describe("checkout after a crash at any call", () => {
  it("succeeds on retry and creates only one subscription", async () => {
    const counting = await startProxy();
    await checkout(newCaller(), "paid", counting).finally(() => counting.close());
    const crashes = Array.from({ length: counting.calls() }, (_, index) => index + 1).flatMap((at) =>
      (["before", "after"] as const).map((when) => ({ at, when })),
    );
    expect(crashes.length).toBeGreaterThan(20);
    for (const crash of crashes) {
      const caller = newCaller();
      const crashing = await startProxy(crash);
      const attempt = checkout(caller, "paid", crashing);
      attempt.catch(() => {});
      await Promise.race([crashing.crashed, attempt]);
      const url = await once(caller);
      const { customers, open } = await atStripe(caller);
      expect({ ...crash, customers: customers.length, open: open.length }).toEqual({ ...crash, customers: 1, open: 1 });
      await payAll([url, ...open.map((session) => session.url ?? "")]);
      expect((await atStripe(caller)).live, JSON.stringify(crash)).toHaveLength(1);
      await crashing.close();
    }
  });

  it("succeeds on retry when the customer changes the plan of an open session", async () => {
    for (const at of [8, 10, 12, 14]) {
      const caller = newCaller();
      const first = await once(caller);
      const crashing = await startProxy({ at, when: "after" });
      const attempt = checkout(caller, "vip", crashing);
      attempt.catch(() => {});
      await Promise.race([crashing.crashed, attempt]);
      const url = await once(caller, "vip");
      expect((await atStripe(caller)).open).toHaveLength(1);
      await payAll([first, url]);
      expect((await atStripe(caller)).live).toHaveLength(1);
      await crashing.close();
    }
  });
});

describe("checkout after a declined first payment", () => {
  const decline = async (url: string) => {
    const body = new URLSearchParams({ card_number: "4000000000000002" });
    expect((await fetch(url, { method: "POST", body, redirect: "manual" })).status).toBe(402);
  };

  it("returns the same session for the same plan, and a second card pays the same subscription", async () => {
    const caller = newCaller();
    const url = await once(caller);
    await decline(url);
    const [incomplete] = (await atStripe(caller)).live;
    expect(incomplete?.status).toBe("incomplete");
    expect(await once(caller)).toBe(url);
    await payAll([url]);
    expect((await atStripe(caller)).live).toMatchObject([{ id: incomplete?.id, status: "active" }]);
  });

  it("sells another plan and cancels the incomplete subscription", async () => {
    const caller = newCaller();
    await decline(await once(caller));
    await payAll([await once(caller, "vip")]);
    const { live } = await atStripe(caller);
    expect(live).toHaveLength(1);
    expect(live[0]?.items.data[0]?.price.id).toBe(prices.vip);
  });

  it("sells the same plan again after the session has expired", async () => {
    const caller = newCaller();
    await decline(await once(caller));
    const { open, live } = await atStripe(caller);
    for (const { id } of open) await stripe.checkout.sessions.expire(id);
    // Stripe keeps the incomplete subscription for 23 hours.
    expect((await stripe.subscriptions.retrieve(live[0]?.id ?? "")).status).toBe("incomplete");
    await payAll([await once(caller)]);
    expect((await atStripe(caller)).live).toMatchObject([{ status: "active" }]);
  });
});

describe("next purchase", () => {
  it("gets a new session after the first subscription has ended", async () => {
    const caller = newCaller();
    const url = await once(caller);
    await payAll([url]);
    const [subscription] = (await atStripe(caller)).live;
    await stripe.subscriptions.cancel(subscription?.id ?? "");
    const second = await once(caller);
    expect(second).not.toBe(url);
    await payAll([second]);
    expect((await atStripe(caller)).live).toHaveLength(1);
  });

  it("creates a new Stripe customer when the old customer was deleted", async () => {
    const caller = newCaller();
    await once(caller);
    const [old] = (await atStripe(caller)).customers;
    await stripe.customers.del(old?.id ?? "");
    await payAll([await once(caller)]);
    const { customers, live } = await atStripe(caller);
    expect(customers.map(({ id }) => id)).not.toContain(old?.id);
    expect(live).toHaveLength(1);
  });

  it("is refused while a dispute is open", async () => {
    const caller = newCaller();
    await payAll([await once(caller)]);
    const { customers, live } = await atStripe(caller);
    double.account.disputeLatestCharge(customers[0]?.id ?? "");
    await stripe.subscriptions.cancel(live[0]?.id ?? "");
    await expect(once(caller)).rejects.toMatchObject({ code: "checkout_refused" });
  });
});

describe("checkout after a server error from Stripe", () => {
  it("succeeds with a new attempt although Stripe replays the error for the old attempt", async () => {
    const caller = newCaller();
    await once(caller);
    for (const session of (await atStripe(caller)).open) await stripe.checkout.sessions.expire(session.id);
    // Events of earlier tests would use up the failures that this test injects.
    await double.settled();
    // Every call fails, and Stripe stores the failure under the idempotency key.
    double.switches.apiFailureStatus = 500;
    double.switches.apiFailures = 4;
    await expect(once(caller)).rejects.toMatchObject({ code: "unavailable" });
    double.switches.apiFailures = 0;
    await payAll([await once(caller)]);
    expect((await atStripe(caller)).live).toHaveLength(1);
  });
});
