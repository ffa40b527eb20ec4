import { randomUUID } from "node:crypto";
import { UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import type Stripe from "stripe";
import { afterEach, describe, expect, it, vi } from "vitest";
import { create as createAdmin } from "../../functions/admin";
import { entitlement } from "../../functions/core/entitlement";
import { create as createReconciler } from "../../functions/reconciler";
import { mortal } from "./crashProxy";
import { answered, delivery, event, stage } from "./stage";

// What the webhook and the sync do when their services answer badly, late or not at all, and when they die themselves.
const on = stage();
vi.spyOn(console, "error").mockImplementation(() => {});
vi.spyOn(console, "log").mockImplementation(() => {});
afterEach(() => vi.clearAllMocks());

const about = (customer: string, type = "customer.subscription.updated") =>
  delivery(event(type, { object: "subscription", id: "sub_1", customer }));
const send = async (customer: string) => (await answered(on().webhook(about(customer)))).status;
/** A subscriber whose row is there and right. */
async function known() {
  const one = await on().subscriber();
  expect(await send(one.customer)).toBe(200);
  return one;
}

describe("an answer of Stripe that is none", () => {
  type Page = { data: Record<string, unknown>[] };
  const first = (change: object) => (page: Page) => ({
    ...page,
    data: page.data.map((one) => ({ ...one, ...change })),
  });
  it.each<[string, RegExp, (answer: never) => unknown]>([
    ["a subscription without a status", /^\/v1\/subscriptions\?/, first({ status: undefined })],
    ["a status that is no text", /^\/v1\/subscriptions\?/, first({ status: 1 })],
    ["a subscription without an id", /^\/v1\/subscriptions\?/, first({ id: undefined })],
    ["a time that is a text", /^\/v1\/subscriptions\?/, first({ created: "2026-11-01" })],
    ["a cancel that is a text", /^\/v1\/subscriptions\?/, first({ cancel_at: "tomorrow" })],
    ["a subscription without items", /^\/v1\/subscriptions\?/, first({ items: undefined })],
    ["a list of nothing", /^\/v1\/subscriptions\?/, () => ({ object: "list" })],
    ["an empty object", /^\/v1\/subscriptions\?/, () => ({})],
    ["a list without its charges", /^\/v1\/charges\?/, () => ({ object: "list", data: null })],
    ["another object", /^\/v1\/customers\//, (customer: Stripe.Customer) => ({ ...customer, object: "account" })],
    ["a customer without an id", /^\/v1\/customers\//, (customer: Stripe.Customer) => ({ ...customer, id: undefined })],
    ["null", /^\/v1\/customers\//, () => null],
  ])("leaves the row as it was: %s", async (_name, path, change) => {
    const { userId, customer } = await known();
    const before = await on().rows.get(userId);
    on().between.stripe.meddle = (passing) => (path.test(passing.path) ? change : undefined);
    expect(await send(customer)).toBeGreaterThanOrEqual(500);
    expect(await on().rows.get(userId)).toEqual(before);
    on().between.stripe.meddle = () => undefined;
    expect(await send(customer)).toBe(200);
  });

  it.each([
    ["too many requests", 429],
    ["no permission", 403],
    ["an unknown key", 401],
    ["a failure", 500],
    ["nobody there", 503],
  ])("is told as trouble, and its text to nobody: %s", async (_name, status) => {
    const { customer } = await known();
    const body = { error: { type: "api_error", message: "canary of somebody's e-mail" } };
    on().between.stripe.meddle = () => ({ status, body });
    const { body: answer, ...rest } = await answered(on().webhook(about(customer)));
    expect({ ...rest, answer }).toMatchObject({ status: 503, answer: { error: { code: "unavailable" } } });
    expect(JSON.stringify([answer, vi.mocked(console.error).mock.calls])).not.toContain("canary");
  });
});

describe("tables that do not answer", () => {
  const fault = (type: string) => ({ status: 400, body: { __type: `com.amazonaws.dynamodb.v20120810#${type}` } });

  it.each([
    ["throttled", fault("ProvisionedThroughputExceededException")],
    ["throttled otherwise", fault("ThrottlingException")],
    ["failing", { status: 500, body: { __type: "com.amazonaws.dynamodb.v20120810#InternalServerError" } }],
    ["not ours to touch", fault("AccessDeniedException")],
  ])("%s: it is told, and done when it comes again", async (_name, meddling) => {
    const { userId, customer } = await on().subscriber();
    const { dynamodb } = on().between;
    dynamodb.meddle = () => meddling;
    expect(await send(customer)).toBe(503);
    dynamodb.meddle = () => undefined;
    expect(await send(customer)).toBe(200);
    expect((await on().rows.get(userId))?.subscriptions).toHaveLength(1);
  });

  it("throttled now and then: it is done at once", async () => {
    const { userId, customer } = await on().subscriber();
    let calls = 0;
    on().between.dynamodb.meddle = () =>
      calls++ % 3 === 0 ? fault("ProvisionedThroughputExceededException") : undefined;
    expect(await send(customer)).toBe(200);
    expect((await on().rows.get(userId))?.subscriptions).toHaveLength(1);
  });

  it("refuse what a later sync has overtaken: that is no trouble", async () => {
    const { userId, customer } = await known();
    let overtaken = false;
    on().between.stripe.meddle = ({ path }) => {
      if (overtaken || !path.startsWith("/v1/subscriptions?")) return undefined;
      overtaken = true;
      return (page) => page;
    };
    const [one, other] = await Promise.all([send(customer), send(customer)]);
    expect([one, other]).toEqual([200, 200]);
    expect((await on().rows.get(userId))?.subscriptions).toHaveLength(1);
  });
});

describe("a trial whose payment fails at its end", () => {
  it("has no grace, also where no invoice is open any more", async () => {
    const { userId, customer } = await known();
    const end = Math.floor(Date.now() / 1000) - 3_600;
    const item = (one: Stripe.Subscription) => ({ ...one.items.data[0], current_period_start: end });
    on().between.stripe.meddle = ({ path }) =>
      path.startsWith("/v1/subscriptions?")
        ? (page: { data: Stripe.Subscription[] }) => ({
            ...page,
            data: page.data.map((one) => ({
              ...one,
              status: "past_due",
              trial_end: end,
              items: { ...one.items, data: [item(one)] },
            })),
          })
        : undefined;
    expect(await send(customer)).toBe(200);
    const row = await on().rows.get(userId);
    expect(row?.subscriptions).toMatchObject([{ status: "past_due", unpaid_since: null, unpaid_first: true }]);
    expect(entitlement(row, new Date(), on().settings.policy)).toMatchObject({ plan: "free", reason: "past_due" });
  });
});

describe("the reconciler", () => {
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

  it("looks at whose time has come also while Stripe's list of events cannot be had, and says so", async () => {
    const { userId, subscription } = await known();
    await on().stripe.subscriptions.cancel(subscription);
    await makeDue(userId);
    on().between.stripe.meddle = ({ path }) =>
      path.startsWith("/v1/events") ? { status: 403, body: { error: { type: "invalid_request_error" } } } : undefined;
    await expect(createReconciler(on().settings)({}, context)).rejects.toThrow("1 of 2 failed");
    expect((await on().rows.get(userId))?.subscriptions).toMatchObject([{ status: "canceled" }]);
  });
});

describe("an operator", () => {
  it("who mistypes a user makes no row of it", async () => {
    const admin = createAdmin(on().settings);
    const user = randomUUID();
    for (const command of ["resync", "revoke"]) {
      expect(await admin({ command, user })).toMatchObject({
        error: { code: "invalid_input", message: `user: there is no row of ${user}` },
      });
    }
    expect(await admin({ command: "show", user })).toMatchObject({ plan: "free", row: null });
    expect(await on().rows.get(user)).toBeUndefined();
    expect(await admin({ command: "grant", user, plan: "vip" })).toMatchObject({ plan: "vip" });
    expect(await admin({ command: "revoke", user })).toMatchObject({ plan: "free" });
  });
});

describe("a webhook that dies at any call", () => {
  it("leaves a row that the next delivery makes right", async () => {
    const way = (death?: Parameters<typeof mortal>[1]) =>
      mortal(
        {
          stripe: on().double.url,
          dynamodb: on().between.dynamodb.url,
          ssm: on().between.ssm.url,
        },
        death,
      );
    // The clients of the others read the environment at their first call, so that comes before.
    await known();
    const run = async (customer: string, { urls }: { urls: Record<string, string> }) => {
      vi.stubEnv("AWS_ENDPOINT_URL_DYNAMODB", urls.dynamodb);
      vi.stubEnv("AWS_ENDPOINT_URL_SSM", urls.ssm);
      return (await answered(on().newWebhook({ stripeApiUrl: urls.stripe ?? "" })(about(customer)))).status;
    };
    const counting = await way();
    expect(await run((await on().subscriber()).customer, counting).finally(() => counting.close())).toBe(200);
    expect(counting.calls()).toBeGreaterThan(8);
    for (let at = 1; at <= counting.calls(); at++) {
      for (const when of ["before", "after"] as const) {
        const { userId, customer, subscription } = await on().subscriber();
        const doomed = await way({ at, when });
        await Promise.race([doomed.died, run(customer, doomed)]);
        await on().stripe.subscriptions.cancel(subscription);
        expect(await send(customer)).toBe(200);
        const row = await on().rows.get(userId);
        expect({ at, when, statuses: row?.subscriptions?.map(({ status }) => status) }).toEqual({
          at,
          when,
          statuses: ["canceled"],
        });
        await doomed.close();
      }
    }
  });
});
