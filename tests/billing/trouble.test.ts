import { UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import type Stripe from "stripe";
import { afterEach, describe, expect, it, vi } from "vitest";
import { entitlement } from "../../functions/core/entitlement";
import { create as createReconciler } from "../../functions/reconciler";
import { recordMetrics } from "../functions/metricLines";
import { startCrashProxy } from "./crashProxy";
import { answered, billingFixture, delivery, event } from "./fixture";

// Tests of the webhook and the sync when AWS or Stripe is slow, fails or does not answer, and when a function crashes.
const on = billingFixture();
vi.spyOn(console, "error").mockImplementation(() => {});
vi.spyOn(console, "log").mockImplementation(() => {});
afterEach(() => vi.clearAllMocks());

const about = (customer: string, type = "customer.subscription.updated") =>
  delivery(event(type, { object: "subscription", id: "sub_1", customer }));
const send = async (customer: string) => (await answered(on().webhook(about(customer)))).status;
/** Creates a subscriber with a correct user row. */
async function known() {
  const one = await on().subscriber();
  expect(await send(one.customer)).toBe(200);
  return one;
}

describe("sync with an unusable answer from Stripe", () => {
  type Page = { data: Record<string, unknown>[] };
  const first = (change: object) => (page: Page) => ({
    ...page,
    data: page.data.map((one) => ({ ...one, ...change })),
  });
  it.each<[string, RegExp, (answer: never) => unknown]>([
    ["a subscription without a status", /^\/v1\/subscriptions\?/, first({ status: undefined })],
    ["a numeric status", /^\/v1\/subscriptions\?/, first({ status: 1 })],
    ["a subscription without an id", /^\/v1\/subscriptions\?/, first({ id: undefined })],
    ["a time as text", /^\/v1\/subscriptions\?/, first({ created: "2026-11-01" })],
    ["a cancel_at as text", /^\/v1\/subscriptions\?/, first({ cancel_at: "tomorrow" })],
    ["a subscription without items", /^\/v1\/subscriptions\?/, first({ items: undefined })],
    ["a list without data", /^\/v1\/subscriptions\?/, () => ({ object: "list" })],
    ["an empty object", /^\/v1\/subscriptions\?/, () => ({})],
    ["a charge list without data", /^\/v1\/charges\?/, () => ({ object: "list", data: null })],
    ["another object type", /^\/v1\/customers\//, (customer: Stripe.Customer) => ({ ...customer, object: "account" })],
    ["a customer without an id", /^\/v1\/customers\//, (customer: Stripe.Customer) => ({ ...customer, id: undefined })],
    ["the answer null", /^\/v1\/customers\//, () => null],
  ])("keeps the row unchanged for %s", async (_name, path, change) => {
    const { userId, customer } = await known();
    const before = await on().rows.get(userId);
    on().between.stripe.fault = (passing) => (path.test(passing.path) ? change : undefined);
    expect(await send(customer)).toBeGreaterThanOrEqual(500);
    expect(await on().rows.get(userId)).toEqual(before);
    on().between.stripe.fault = () => undefined;
    expect(await send(customer)).toBe(200);
  });

  it.each([
    ["429", 429],
    ["403", 403],
    ["401", 401],
    ["500", 500],
    ["503", 503],
  ])("returns unavailable without Stripe's error text for the status %s", async (_name, status) => {
    const { customer } = await known();
    const body = { error: { type: "api_error", message: "canary of somebody's e-mail" } };
    on().between.stripe.fault = () => ({ status, body });
    const { body: answer, ...rest } = await answered(on().webhook(about(customer)));
    expect({ ...rest, answer }).toMatchObject({ status: 503, answer: { error: { code: "unavailable" } } });
    expect(JSON.stringify([answer, vi.mocked(console.error).mock.calls])).not.toContain("canary");
  });
});

describe("webhook with failing tables", () => {
  const fault = (type: string) => ({ status: 400, body: { __type: `com.amazonaws.dynamodb.v20120810#${type}` } });

  it.each([
    ["a throughput error", fault("ProvisionedThroughputExceededException")],
    ["a throttling error", fault("ThrottlingException")],
    ["an internal error", { status: 500, body: { __type: "com.amazonaws.dynamodb.v20120810#InternalServerError" } }],
    ["an access error", fault("AccessDeniedException")],
  ])("returns 503 and succeeds on redelivery after %s", async (_name, meddling) => {
    const { userId, customer } = await on().subscriber();
    const { dynamodb } = on().between;
    dynamodb.fault = () => meddling;
    expect(await send(customer)).toBe(503);
    dynamodb.fault = () => undefined;
    expect(await send(customer)).toBe(200);
    expect((await on().rows.get(userId))?.subscriptions).toHaveLength(1);
  });

  it("retries within the same request when a table is throttled briefly", async () => {
    const { userId, customer } = await on().subscriber();
    let calls = 0;
    on().between.dynamodb.fault = () =>
      calls++ % 3 === 0 ? fault("ProvisionedThroughputExceededException") : undefined;
    expect(await send(customer)).toBe(200);
    expect((await on().rows.get(userId))?.subscriptions).toHaveLength(1);
  });

  it("returns 200 for two concurrent events about the same customer", async () => {
    const { userId, customer } = await known();
    let overtaken = false;
    on().between.stripe.fault = ({ path }) => {
      if (overtaken || !path.startsWith("/v1/subscriptions?")) return undefined;
      overtaken = true;
      return (page) => page;
    };
    const [one, other] = await Promise.all([send(customer), send(customer)]);
    expect([one, other]).toEqual([200, 200]);
    expect((await on().rows.get(userId))?.subscriptions).toHaveLength(1);
  });
});

describe("a subscription whose payment fails after its trial_end", () => {
  const overdueAfterTrial = async (customer: string, isPaid: boolean) => {
    const end = Math.floor(Date.now() / 1000) - 3_600;
    const item = (one: Stripe.Subscription) => ({ ...one.items.data[0], current_period_start: end });
    on().between.stripe.fault = ({ path }) => {
      if (path.startsWith("/v1/invoices?") && !isPaid) return () => ({ object: "list", data: [] });
      if (!path.startsWith("/v1/subscriptions?")) return undefined;
      return (page: { data: Stripe.Subscription[] }) => ({
        ...page,
        data: page.data.map((one) => ({
          ...one,
          status: "past_due",
          trial_end: end,
          items: { ...one.items, data: [item(one)] },
        })),
      });
    };
    expect(await send(customer)).toBe(200);
  };

  it("has no grace period when the customer never paid, even without an open invoice", async () => {
    const { userId, customer } = await known();
    await overdueAfterTrial(customer, false);
    const row = await on().rows.get(userId);
    expect(row?.subscriptions).toMatchObject([{ status: "past_due", unpaid_since: null, unpaid_first: true }]);
    expect(entitlement(row, new Date(), on().settings.policy)).toMatchObject({ plan: "free", reason: "past_due" });
  });

  it("has a grace period when the customer had paid before the trial", async () => {
    const { userId, customer } = await known();
    await overdueAfterTrial(customer, true);
    const row = await on().rows.get(userId);
    expect(row?.subscriptions).toMatchObject([{ status: "past_due", unpaid_first: false }]);
    expect(entitlement(row, new Date(), on().settings.policy)).toMatchObject({ plan: "paid", reason: "grace" });
  });
});

describe("reconciler", () => {
  const context = { getRemainingTimeInMillis: () => 300_000 };
  const makeDue = (userId: string) =>
    on().tables.client.send(
      new UpdateItemCommand({
        TableName: on().tables.users,
        Key: { user_id: { S: userId } },
        UpdateExpression: "SET needs_review_at = :past",
        ExpressionAttributeValues: { ":past": { S: "2026-01-01T00:00:00.000Z" } },
      }),
    );

  it("counts a synced event as a fix, but not an event of an unknown customer", async () => {
    const { customer } = await known();
    const listed = (of: string) => JSON.parse(event("invoice.paid", { object: "invoice", id: "in_1", customer: of }));
    const fixesOf = async (of: string) => {
      const created = Math.floor(Date.now() / 1000) - 600;
      const body = { object: "list", has_more: false, url: "/v1/events", data: [{ ...listed(of), created }] };
      on().between.stripe.fault = ({ path }) => (path.startsWith("/v1/events") ? { status: 200, body } : undefined);
      using metrics = recordMetrics();
      const done = await createReconciler(on().settings)({}, context);
      expect(done.events).toBe(1);
      return metrics.values("ReconcilerFixes");
    };
    expect(await fixesOf("cus_of_a_stranger")).toEqual([0]);
    expect(await fixesOf(customer)).toEqual([1]);
  });

  it("still reviews due rows when Stripe's event list fails, and reports the failure", async () => {
    const { userId, subscription } = await known();
    await on().stripe.subscriptions.cancel(subscription);
    await makeDue(userId);
    on().between.stripe.fault = ({ path }) =>
      path.startsWith("/v1/events") ? { status: 403, body: { error: { type: "invalid_request_error" } } } : undefined;
    await expect(createReconciler(on().settings)({}, context)).rejects.toThrow("1 of 2 events and reviews failed");
    expect((await on().rows.get(userId))?.subscriptions).toMatchObject([{ status: "canceled" }]);
  });
});

describe("webhook after a crash at any call", () => {
  it("corrects the row on the next delivery", async () => {
    const startProxy = (crash?: Parameters<typeof startCrashProxy>[1]) =>
      startCrashProxy(
        {
          stripe: on().double.url,
          dynamodb: on().between.dynamodb.url,
          ssm: on().between.ssm.url,
        },
        crash,
      );
    // The clients of the other handlers read the service URLs at their first call. Therefore this call comes before the
    // change of the environment.
    await known();
    const run = async (customer: string, { urls }: { urls: Record<string, string> }) => {
      vi.stubEnv("AWS_ENDPOINT_URL_DYNAMODB", urls.dynamodb);
      vi.stubEnv("AWS_ENDPOINT_URL_SSM", urls.ssm);
      return (await answered(on().newWebhook({ stripeApiUrl: urls.stripe ?? "" })(about(customer)))).status;
    };
    const counting = await startProxy();
    expect(await run((await on().subscriber()).customer, counting).finally(() => counting.close())).toBe(200);
    expect(counting.calls()).toBeGreaterThan(8);
    for (let at = 1; at <= counting.calls(); at++) {
      for (const when of ["before", "after"] as const) {
        const { userId, customer, subscription } = await on().subscriber();
        const crashing = await startProxy({ at, when });
        await Promise.race([crashing.crashed, run(customer, crashing)]);
        await on().stripe.subscriptions.cancel(subscription);
        expect(await send(customer)).toBe(200);
        const row = await on().rows.get(userId);
        expect({ at, when, statuses: row?.subscriptions?.map(({ status }) => status) }).toEqual({
          at,
          when,
          statuses: ["canceled"],
        });
        await crashing.close();
      }
    }
  });
});
