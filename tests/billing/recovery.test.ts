import { randomUUID } from "node:crypto";
import { UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import type Stripe from "stripe";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { PlanResponse } from "../../contract/plan";
import { create as createCheckout } from "../../functions/checkout";
import { entitlement } from "../../functions/core/entitlement";
import type { Handler, Request } from "../../functions/lib/http";
import { create as createPortal } from "../../functions/portal";
import { create as createReconciler } from "../../functions/reconciler";
import { create as createSync } from "../../functions/sync";
import { answered, billingFixture, delivery, event, requestContext } from "./fixture";
import { pool, signedInAs } from "./signedInAs";

// These tests check the recovery from failures. When Stripe, its key or a card works again, the customer can buy and
// use a plan.
const on = billingFixture();
const tokenOf = signedInAs();
let routes: Record<"checkout" | "portal" | "sync", Handler>;

const log = () => JSON.stringify(vi.mocked(console.error).mock.calls);
vi.spyOn(console, "error").mockImplementation(() => {});
vi.spyOn(console, "log").mockImplementation(() => {});

const createRoutes = () => {
  const settings = { ...on().settings, ...pool, returnUrls: ["https://app.example/"] };
  return { checkout: createCheckout(settings), portal: createPortal(settings), sync: createSync(settings) };
};
// Each test needs new functions, because the tests move the clock in both directions.
beforeEach(() => {
  routes = createRoutes();
});
afterEach(() => {
  vi.clearAllMocks();
  vi.useRealTimers();
});

async function ask<T = { url: string }>(
  route: keyof typeof routes,
  user: string,
  body: object = {},
): Promise<{ status: number | undefined; body: T }> {
  const headers = { authorization: `Bearer ${await tokenOf(user)}` };
  return answered(
    routes[route]({
      ...requestContext,
      body: JSON.stringify(body),
      isBase64Encoded: false,
      headers,
    } as unknown as Request),
  );
}
const deliver = (body: string) => answered(on().newWebhook()(delivery(body)));
const buy = (user: string, plan: "paid" | "vip" = "paid") => ask("checkout", user, { plan });
const pay = (url: string, card_number = "4242424242424242") =>
  fetch(url, { method: "POST", body: new URLSearchParams({ card_number }), redirect: "manual" });
const planOf = async (user: string) => (await ask<PlanResponse>("sync", user)).body;
const rowOf = async (user: string) => on().rows.get(user);
/** Moves the test's clock and the Stripe double's clock forward. */
const later = (minutes: number) => vi.setSystemTime(Date.now() + minutes * 60_000);

describe("POST /v1/customers that failed once with 500", () => {
  it("is retried with a new idempotency key, and the checkout succeeds", async () => {
    const user = randomUUID();
    const { double } = on();
    const keys = new Set<string>();
    const fail = new Set<string>();
    // Stripe stores the failure under the key of the first call. The SDK's retry uses the same key and gets the same
    // failure.
    on().between.stripe.fault = ({ method, path, headers }) => {
      if (method !== "POST" || path !== "/v1/customers") return undefined;
      const key = String(headers["idempotency-key"]);
      keys.add(key);
      if (fail.size === 0) fail.add(key);
      return fail.has(key) ? { status: 500, body: { error: { type: "api_error" } } } : undefined;
    };
    expect((await buy(user)).status).toBe(200);
    expect(keys.size).toBe(2);
    expect(double.account.customers().filter(({ metadata }) => metadata.user_id === user)).toHaveLength(1);
  });

  it("does not block a later checkout when all idempotency keys of the first request have failed", async () => {
    const user = randomUUID();
    const stored = new Set<string>();
    let isDown = true;
    on().between.stripe.fault = ({ method, path, headers }) => {
      if (method !== "POST" || path !== "/v1/customers") return undefined;
      const key = String(headers["idempotency-key"]);
      if (isDown) stored.add(key);
      return stored.has(key) ? { status: 500, body: { error: { type: "api_error" } } } : undefined;
    };
    expect((await buy(user)).status).toBe(503);
    isDown = false;
    expect((await buy(user)).status).toBe(200);
  });
});

describe("checkout of a customer who was refused before", () => {
  it.each([10, 31, 42, 46])("succeeds %i minutes after a refused request for vip", async (minutes) => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const { userId, subscription, customer } = await on().subscriber();
    await deliver(event("invoice.paid", { object: "invoice", id: "in_1", customer }));
    expect(await buy(userId, "vip")).toMatchObject({ status: 409, body: { error: { code: "already_subscribed" } } });
    await on().stripe.subscriptions.cancel(subscription);
    later(minutes);
    expect((await buy(userId, "vip")).status).toBe(200);
  });

  it("gets a new session when the attempt of a crashed request has less than 31 minutes left", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const user = randomUUID();
    on().between.stripe.fault = ({ method, path }) =>
      method === "POST" && path === "/v1/checkout/sessions" ? { status: 403, body: { error: {} } } : undefined;
    expect((await buy(user)).status).toBe(503);
    on().between.stripe.fault = () => undefined;
    later(35);
    expect((await buy(user)).status).toBe(200);
  });
});

describe("unpaid upgrade to vip", () => {
  it("keeps the paid plan and never grants vip, even after a second attempt", async () => {
    const { userId, customer, subscription } = await on().subscriber();
    const { account } = on().double;
    await deliver(event("invoice.paid", { object: "invoice", id: "in_1", customer }));
    account.replaceCard(customer, "4000000000000341");
    account.changePrice(subscription, "price_vip");
    expect((await on().stripe.subscriptions.retrieve(subscription)).status).toBe("past_due");
    expect(await planOf(userId)).toMatchObject({ plan: "paid", reason: "grace" });
    await on().stripe.subscriptions.cancel(subscription);
    expect(await planOf(userId)).toMatchObject({ plan: "free" });

    await pay((await buy(userId)).body.url);
    const [again] = account.subscriptionsOf(customer);
    account.replaceCard(customer, "4000000000000341");
    account.changePrice(again?.id ?? "", "price_vip");
    expect(await planOf(userId)).toMatchObject({ plan: "paid", reason: "grace" });
    account.replaceCard(customer, "4242424242424242");
    account.payOpenInvoices(customer);
    expect(await planOf(userId)).toMatchObject({ plan: "vip", reason: "subscription" });
  });
});

describe("row with a customer id that Stripe does not know", () => {
  const unknown = async (userId = randomUUID() as string) => {
    const id = `cus_${randomUUID().slice(0, 8)}`;
    await on().rows.link(userId, id, new Date());
    return { userId, id };
  };

  it("gets exactly one new customer at checkout", async () => {
    const { userId, id } = await unknown();
    const answers = await Promise.all([buy(userId), buy(userId)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    const linked = (await rowOf(userId))?.stripe_customer_id;
    expect(linked).not.toBe(id);
    await pay(answers[0]?.body.url ?? "");
    expect(await planOf(userId)).toMatchObject({ plan: "paid" });
    const own = on()
      .double.account.customers()
      .filter(({ metadata }) => metadata.user_id === userId);
    expect(own.map((one) => one.id)).toEqual([linked]);
    expect(log()).toContain(id);
  });

  it("is linked at sync to a customer with the user's e-mail address and id", async () => {
    const { userId } = await unknown();
    const metadata = { user_id: userId, owner: on().settings.stripeOwner };
    const { id } = await on().stripe.customers.create({ email: `${userId}@example.com`, metadata });
    expect((await ask("sync", userId)).status).toBe(200);
    expect((await rowOf(userId))?.stripe_customer_id).toBe(id);
  });

  it("keeps its plan at sync when there is no other customer, and raises an alarm", async () => {
    const { userId, customer, subscription } = await on().subscriber();
    await deliver(event("invoice.paid", { object: "invoice", id: "in_1", customer }));
    const body = { error: { type: "invalid_request_error", code: "resource_missing", param: "id" } };
    on().between.stripe.fault = ({ path }) => (path.includes(customer) ? { status: 404, body } : undefined);
    expect(await planOf(userId)).toMatchObject({ plan: "paid" });
    expect((await rowOf(userId))?.subscriptions).toMatchObject([{ id: subscription }]);
    expect(log()).toContain("unknown_customer");
  });

  it("makes the portal answer nothing_bought", async () => {
    const { userId } = await unknown();
    expect(await ask("portal", userId)).toMatchObject({ status: 409, body: { error: { code: "nothing_bought" } } });
  });

  it("is linked to the customer of the user's next event", async () => {
    const { userId, customer } = await on().subscriber();
    const { id } = await unknown(userId);
    const about = event("invoice.paid", { object: "invoice", id: "in_1", customer });
    expect(await deliver(about)).toMatchObject({ status: 200, body: { outcome: "synced" } });
    expect(await rowOf(userId)).toMatchObject({ stripe_customer_id: customer, subscriptions: [{ status: "active" }] });
    expect((await rowOf(userId))?.stripe_customer_id).not.toBe(id);
  });

  it("is reported by the reconciler, which still reviews all other rows", async () => {
    const { userId, id } = await unknown();
    const other = await on().subscriber();
    await deliver(event("invoice.paid", { object: "invoice", id: "in_1", customer: other.customer }));
    await on().stripe.subscriptions.cancel(other.subscription);
    for (const user_id of [userId, other.userId]) await makeDue(user_id);
    const done = await createReconciler(on().settings)({}, { getRemainingTimeInMillis: () => 300_000 });
    expect(done).toMatchObject({ failed: 0, complete: true });
    expect((await rowOf(other.userId))?.subscriptions).toMatchObject([{ status: "canceled" }]);
    expect(log()).toContain(id);
  });
});

const makeDue = (userId: string) =>
  on().tables.client.send(
    new UpdateItemCommand({
      TableName: on().tables.users,
      Key: { user_id: { S: userId } },
      UpdateExpression: "SET needs_review_at = :past, review_queue = :queue",
      ExpressionAttributeValues: { ":past": { S: "2026-01-01T00:00:00.000Z" }, ":queue": { S: "stripe" } },
    }),
  );

describe("replaced Stripe key", () => {
  it("takes effect at the next call, because a 401 makes the function read the parameter again", async () => {
    const { userId } = await on().subscriber();
    expect((await buy(userId, "vip")).status).toBe(200);
    vi.useFakeTimers({ toFake: ["Date"] });
    later(1);
    on().replaceApiKey("rk_test_the_new_one");
    expect((await buy(userId, "vip")).status).toBe(200);
    expect((await ask("sync", userId)).status).toBe(200);
  });

  it("is read at most once every two seconds while Stripe rejects the key", async () => {
    const { userId } = await on().subscriber();
    let reads = 0;
    on().between.ssm.fault = () => void reads++;
    on().between.stripe.fault = () => ({ status: 401, body: { error: { type: "invalid_request_error" } } });
    for (let call = 0; call < 5; call++) expect((await buy(userId)).status).toBe(503);
    expect(reads).toBeLessThanOrEqual(2);
  });
});

describe("portal right after the customer was deleted", () => {
  it("answers nothing_bought before Stripe's event about the deletion has arrived", async () => {
    const { userId, customer } = await on().subscriber();
    await deliver(event("invoice.paid", { object: "invoice", id: "in_1", customer }));
    await on().stripe.customers.del(customer);
    expect(await ask("portal", userId)).toMatchObject({ status: 409, body: { error: { code: "nothing_bought" } } });
  });
});

describe("customer with 400 charges", () => {
  it("has the free plan when the oldest charge is disputed", async () => {
    const { userId, customer } = await on().subscriber();
    const { id: charge } = on().double.account.disputeLatestCharge(customer);
    expect(charge).toBeTruthy();
    const { ledger } = on().double.account;
    const first = ledger.all("charge").find((one) => one.customer === customer) as Stripe.Charge;
    for (let made = 0; made < 400; made++)
      ledger.put("charge", { ...first, id: `ch_${made}_${customer}`, disputed: false });
    await deliver(event("charge.dispute.created", { object: "dispute", id: "du_1", customer }));
    const row = await rowOf(userId);
    expect(row?.disputes).toHaveLength(1);
    expect(entitlement(row, new Date(), on().settings.policy)).toMatchObject({ plan: "free", reason: "disputed" });
  });
});

describe("reconciler with more events than it has time for", () => {
  it("stops the event search before the timeout, starts the reviews and reports an incomplete run", async () => {
    const { userId, customer, subscription } = await on().subscriber();
    await deliver(event("invoice.paid", { object: "invoice", id: "in_1", customer }));
    await on().stripe.subscriptions.cancel(subscription);
    await makeDue(userId);
    let pages = 0;
    on().between.stripe.fault = ({ path }) => {
      if (!path.startsWith("/v1/events")) return undefined;
      pages++;
      const data = Array.from({ length: 100 }, () => JSON.parse(event("product.created", { object: "product" })));
      return { status: 200, body: { object: "list", has_more: true, url: "/v1/events", data } };
    };
    // Each page takes a second.
    const context = { getRemainingTimeInMillis: () => 300_000 - pages * 1_000 };
    const done = await createReconciler(on().settings)({}, context);
    expect(pages).toBeLessThan(80);
    expect(done.complete).toBe(false);
    expect(done.reviews).toBeGreaterThan(0);
    expect((await rowOf(userId))?.subscriptions).toMatchObject([{ status: "canceled" }]);
    expect(log()).toContain("reconciler_incomplete");
  });

  it("repeats the request for keys that DynamoDB returned as unprocessed", async () => {
    const { userId, customer } = await on().subscriber();
    // The reconciler skips events that are newer than one minute.
    vi.useFakeTimers({ toFake: ["Date"] });
    await deliver(event("invoice.paid", { object: "invoice", id: "in_1", customer }));
    later(5);
    let left = 0;
    on().between.dynamodb.fault = ({ operation, body }) => {
      if (operation !== "BatchGetItem" || left++ % 2 === 1) return undefined;
      return { status: 200, body: { Responses: {}, UnprocessedKeys: JSON.parse(body).RequestItems } };
    };
    const reconcile = createReconciler(on().settings);
    const context = { getRemainingTimeInMillis: () => 300_000 };
    await reconcile({}, context);
    expect((await reconcile({}, context)).events).toBe(0);
    expect(left).toBeGreaterThan(1);
    expect((await rowOf(userId))?.subscriptions).toHaveLength(1);
  });
});
