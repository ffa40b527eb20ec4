import { createHmac, randomUUID } from "node:crypto";
import Stripe from "stripe";
import { afterEach, describe, expect, it, vi } from "vitest";
import { recordMetrics } from "../functions/metricLines";
import { answered, billingFixture, delivery, event, SECRET, SECRET_PARAMETER } from "./fixture";

// These tests send arbitrary requests to the webhook function, with real tables and a Stripe account.
const on = billingFixture();
const log = () => JSON.stringify([...vi.mocked(console.error).mock.calls, ...vi.mocked(console.log).mock.calls]);

vi.spyOn(console, "error").mockImplementation(() => {});
vi.spyOn(console, "log").mockImplementation(() => {});
afterEach(() => vi.clearAllMocks());

const refused = { status: 400, body: { error: expect.objectContaining({ code: "signature_invalid" }) } };
const unavailable = { status: 503, body: { error: expect.objectContaining({ code: "unavailable" }) } };
const taken = (outcome: string) => ({ status: 200, body: { received: true, outcome } });

/** Sends a signed body as Stripe does. Returns the answer. */
const send = (body: string, headers?: Record<string, string>) => answered(on().webhook(delivery(body, headers)));
const rowOf = async (userId: string) => on().rows.get(userId);

describe("webhook with a bad signature", () => {
  const body = event("customer.subscription.updated", { object: "subscription", id: "sub_1", customer: "cus_1" });
  const seconds = Math.floor(Date.now() / 1000);
  // This test signs without stripe-node, because stripe-node replaces an invalid timestamp with the current time.
  const sign = (time: number | string, secret = SECRET) =>
    `t=${time},v1=${createHmac("sha256", secret)
      .update(`${Number.parseInt(String(time), 10)}.${body}`)
      .digest("hex")}`;
  const value = (header: string) => header.split(",v1=")[1];

  it.each([
    ["an empty signature", ""],
    ["a blank signature", "   "],
    ["a signature without a timestamp", `v1=${value(sign(seconds))}`],
    ["a non-numeric timestamp", sign("now")],
    ["a negative timestamp", sign(-1)],
    ["the timestamp 0", sign(0)],
    ["a timestamp in milliseconds", sign(Date.now())],
    ["a future timestamp after a space", sign(` ${seconds + 86_400}`)],
    ["a future timestamp with a plus sign", sign(`+${seconds + 86_400}`)],
    ["a timestamp with trailing characters", sign(`${seconds}x`)],
    ["a timestamp in exponent notation", sign(`${seconds}e0`)],
    ["a timestamp that differs from the signed timestamp", sign(seconds).replace(`t=${seconds}`, `t=${seconds - 1}`)],
    [
      "a header with a hundred timestamps",
      `${Array.from({ length: 100 }, (_, n) => `t=${seconds - n}`).join(",")},v1=${value(sign(seconds))}`,
    ],
    ["the v0 scheme", sign(seconds).replace("v1=", "v0=")],
    ["an upper-case scheme", sign(seconds).replace("v1=", "V1=")],
    ["a truncated signature value", sign(seconds).slice(0, -32)],
    ["an upper-case signature value", `t=${seconds},v1=${value(sign(seconds))?.toUpperCase()}`],
    ["an empty signature value", `t=${seconds},v1=`],
    ["a signature value with non-ASCII characters", `t=${seconds},v1=${"ё".repeat(64)}`],
    ["a signature made with a blank secret", sign(seconds, " ")],
    ["a signature made with another secret", sign(seconds, "whsec_of_somebody_else")],
  ])("rejects %s", async (_name, signature) => {
    expect(await send(body, { "stripe-signature": signature })).toEqual(refused);
  });

  it("rejects a body that differs from the signed body", async () => {
    const { headers } = delivery(body);
    const given = (changed: object) => answered(on().webhook({ ...delivery(body), headers, ...changed }));
    expect(await given({ body: `\uFEFF${body}` })).toEqual(refused);
    expect(await given({ body: `${body}\n` })).toEqual(refused);
    expect(await given({ body: body.replace('"livemode":false', '"livemode":false,"livemode":false') })).toEqual(
      refused,
    );
    expect(await given({ body: undefined })).toEqual(refused);
    expect(await given({ isBase64Encoded: true })).toEqual(refused);
  });
});

describe("webhook with a valid signature", () => {
  it("accepts a base64 body with any content type", async () => {
    const { userId, customer, subscription } = await on().subscriber();
    const body = event("customer.subscription.updated", { object: "subscription", id: subscription, customer });
    const request = delivery(body, { "content-type": "application/octet-stream" });
    const base64 = { ...request, body: Buffer.from(body).toString("base64"), isBase64Encoded: true };
    expect(await answered(on().webhook(base64))).toEqual(taken("synced"));
    expect((await rowOf(userId))?.subscriptions).toHaveLength(1);
  });

  it.each([
    ["not JSON", "{"],
    ["null", "null"],
    ["a list", `[${event("invoice.paid", { object: "invoice", id: "in_1" })}]`],
    [
      "not an event",
      JSON.stringify({ object: "charge", id: "ch_1", livemode: false, type: "charge.refunded", created: 1 }),
    ],
    ["an event without livemode", event("invoice.paid", { object: "invoice", id: "in_1" }, { livemode: undefined })],
    ["an event with the wrong livemode", event("invoice.paid", { object: "invoice", id: "in_1" }, { livemode: true })],
    ["an event with livemode as text", event("invoice.paid", { object: "invoice", id: "in_1" }, { livemode: "false" })],
    ["prefixed with a byte order mark", `\uFEFF${event("invoice.paid", { object: "invoice", id: "in_1" })}`],
  ])("rejects a body that is %s", async (_name, body) => {
    expect(await send(body)).toEqual(refused);
  });

  it("counts an event of the wrong mode, such as a live event with a test key, as a bad signature", async () => {
    using metrics = recordMetrics();
    const body = event("invoice.paid", { object: "invoice", id: "in_1" }, { livemode: true });
    const answer = await send(body);
    expect(answer).toEqual(refused);
    expect(metrics.values("WebhookSignatureFailures")).toEqual([1]);
  });

  it.each([
    ["a balance without an id", event("balance.available", { object: "balance", available: [] })],
    ["an upcoming invoice without an id", event("invoice.upcoming", { object: "invoice", customer: "cus_1" })],
    [
      "an event of a connected account, also in the other mode",
      event("invoice.paid", { object: "invoice", id: "in_1" }, { account: "acct_1", livemode: true }),
    ],
    [
      "a thin event of a connected account",
      JSON.stringify({
        object: "v2.core.event",
        id: "evt_1",
        type: "v1.invoice.paid",
        livemode: false,
        created: new Date().toISOString(),
        context: "acct_1",
        related_object: { id: "in_1", type: "invoice" },
      }),
    ],
    ["an unknown event type", event("customer.subscription.dreamt", { object: "subscription", id: "sub_1" })],
    [
      "a thin event without a related object",
      JSON.stringify({
        object: "v2.core.event",
        id: "evt_1",
        type: "v1.balance.available",
        livemode: false,
        created: new Date().toISOString(),
        related_object: null,
      }),
    ],
  ])("accepts and ignores %s", async (_name, body) => {
    expect(await send(body)).toEqual(taken("ignored"));
  });

  it("accepts an event of another API version and logs a warning", async () => {
    const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
    const inVersion = (api_version: string) =>
      event("product.created", { object: "product", id: "prod_1" }, { api_version });
    expect(await send(inVersion(Stripe.API_VERSION))).toEqual(taken("ignored"));
    expect(warned).not.toHaveBeenCalled();
    expect(await send(inVersion("2025-08-27.basil"))).toEqual(taken("ignored"));
    expect(warned).toHaveBeenCalledWith(expect.objectContaining({ api_version: "2025-08-27.basil" }));
  });

  it("rejects a body above 256 KiB", async () => {
    const long = event("invoice.paid", { object: "invoice", id: "in_1", padding: "ё".repeat(131_072) });
    expect(await send(long)).toMatchObject({ status: 413, body: { error: { code: "too_long" } } });
  });

  it("treats __proto__ and constructor as plain field names", async () => {
    const { userId, customer, subscription } = await on().subscriber();
    const body = event("customer.subscription.updated", { object: "subscription", id: subscription, customer });
    const polluted = body.replace(
      '"object":"subscription"',
      '"object":"subscription","__proto__":{"customer":"cus_evil"},"metadata":{"__proto__":"x","constructor":"y"}',
    );
    expect(await send(polluted)).toEqual(taken("synced"));
    expect((await rowOf(userId))?.stripe_customer_id).toBe(customer);
    expect(({} as { customer?: string }).customer).toBeUndefined();
  });
});

describe("webhook event with a user id in its metadata", () => {
  const ours = (userId: string) => ({ user_id: userId, owner: on().settings.stripeOwner });
  const about = (userId: string, customer: string) =>
    event("customer.subscription.updated", {
      object: "subscription",
      id: "sub_1",
      customer,
      metadata: ours(userId),
    });

  it("does not link another user's customer", async () => {
    const other = await on().subscriber();
    const victim = randomUUID();
    expect(await send(about(victim, other.customer))).toEqual(taken("foreign"));
    expect(await rowOf(victim)).toBeUndefined();
    expect(log()).toContain("another_customer");
  });

  it("does not link a customer of another stack", async () => {
    const userId = randomUUID();
    const metadata = { user_id: userId, owner: "snack-misaki/another" };
    const { id } = await on().stripe.customers.create({ metadata });
    expect(await send(about(userId, id))).toEqual(taken("foreign"));
    expect(await rowOf(userId)).toBeUndefined();
  });

  it("does not link a customer that Stripe does not know", async () => {
    const userId = randomUUID();
    expect(await send(about(userId, "cus_nobody"))).toEqual(taken("foreign"));
    expect(await rowOf(userId)).toBeUndefined();
    expect(log()).toContain("another_customer");
  });

  it("keeps the linked customer and raises an alarm when the event is about another customer", async () => {
    const { userId, customer } = await on().subscriber();
    await send(about(userId, customer));
    const other = await on().stripe.customers.create({ metadata: ours(userId) });
    expect(await send(about(userId, other.id))).toEqual(taken("synced"));
    expect((await rowOf(userId))?.stripe_customer_id).toBe(customer);
    expect(log()).toContain("another_customer");
  });

  it("links a customer without metadata", async () => {
    const userId = randomUUID();
    const { id } = await on().stripe.customers.create({});
    expect(await send(about(userId, id))).toEqual(taken("synced"));
    expect((await rowOf(userId))?.stripe_customer_id).toBe(id);
  });
});

describe("webhook event about a customer whose metadata was edited", () => {
  it("gives the plan to the linked user only, and raises an alarm", async () => {
    const { userId, customer, subscription } = await on().subscriber();
    const about = (metadata: object) =>
      event("customer.subscription.updated", { object: "subscription", id: subscription, customer, metadata });
    await send(about({ user_id: userId, owner: on().settings.stripeOwner }));
    const other = { user_id: randomUUID(), owner: on().settings.stripeOwner };
    await on().stripe.customers.update(customer, { metadata: other });
    expect(await send(about(other))).toEqual(taken("synced"));
    expect(await rowOf(other.user_id)).toBeUndefined();
    expect((await rowOf(userId))?.stripe_customer_id).toBe(customer);
    expect(log()).toContain("customer_of_two_users");
  });
});

describe("webhook flooded with events", () => {
  it("stops syncing an event that arrives too often, and asks Stripe to retry later", async () => {
    const { customer, subscription } = await on().subscriber();
    const body = event("customer.subscription.updated", { object: "subscription", id: subscription, customer });
    let syncs = 0;
    on().between.stripe.fault = ({ path }) => void (path.startsWith("/v1/subscriptions?") && syncs++);
    const statuses = new Set<number | undefined>();
    for (let replay = 0; replay < 100; replay++) statuses.add((await send(body)).status);
    expect([...statuses]).toEqual([200, 429]);
    expect(syncs).toBeLessThanOrEqual(20);
  });

  it("limits the events about one customer, and still accepts events about other customers", async () => {
    const [flooded, other] = [await on().subscriber(), await on().subscriber()];
    const about = ({ customer }: { customer: string }) =>
      send(event("customer.subscription.updated", { object: "subscription", id: "sub_1", customer }));
    vi.useFakeTimers({ toFake: ["Date"], now: Math.ceil(Date.now() / 60_000) * 60_000 });
    try {
      const answers = [];
      for (let burst = 0; burst < 15; burst++)
        answers.push(...(await Promise.all(Array.from({ length: 10 }, () => about(flooded)))));
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(120);
      expect(answers.filter(({ status }) => status === 429)).toHaveLength(30);
      expect(await about(other)).toEqual(taken("synced"));
    } finally {
      vi.useRealTimers();
    }
  });

  it("still syncs when the event counter fails", async () => {
    const { userId, customer } = await on().subscriber();
    const { ephemeral } = on().tables;
    on().between.dynamodb.fault = ({ body }) =>
      body.includes(ephemeral) ? { status: 400, body: { __type: "AccessDeniedException" } } : undefined;
    const body = event("customer.subscription.updated", { object: "subscription", id: "sub_1", customer });
    expect(await send(body)).toEqual(taken("synced"));
    expect((await rowOf(userId))?.subscriptions).toHaveLength(1);
    expect(log()).toContain("event_not_counted");
  });
});

describe("webhook with its secret in Parameter Store", () => {
  const body = event("invoice.upcoming", { object: "invoice" });
  const badlySigned = { "stripe-signature": "t=1,v1=00" };
  const failing = { status: 400, body: { __type: "ThrottlingException", message: "Rate exceeded" } };

  it("rejects every event while the secret is missing", async () => {
    const { parameters, newWebhook } = on();
    const kept = parameters.get(SECRET_PARAMETER) ?? "";
    parameters.delete(SECRET_PARAMETER);
    const webhook = newWebhook();
    expect(await answered(webhook(delivery(body)))).toEqual(unavailable);
    parameters.set(SECRET_PARAMETER, kept);
    expect(await answered(webhook(delivery(body)))).toEqual(taken("ignored"));
  });

  it("still accepts valid events when it cannot reload the secret", async () => {
    const { newWebhook, between } = on();
    const webhook = newWebhook();
    expect(await answered(webhook(delivery(body)))).toEqual(taken("ignored"));
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 60_000 });
    try {
      between.ssm.fault = () => failing;
      expect(await answered(webhook(delivery(body, badlySigned)))).toEqual(unavailable);
      expect(await answered(webhook(delivery(body)))).toEqual(taken("ignored"));
    } finally {
      vi.useRealTimers();
    }
  });

  it("does not log a secret that has an invalid format", async () => {
    const { parameters, newWebhook } = on();
    const kept = parameters.get(SECRET_PARAMETER) ?? "";
    for (const wrong of ["whsec_canary", '{"current":"whsec_canary', '{"secret":"whsec_canary"}', '"whsec_canary"']) {
      parameters.set(SECRET_PARAMETER, wrong);
      expect(await answered(newWebhook()(delivery(body)))).toEqual(unavailable);
      expect(log()).toContain(SECRET_PARAMETER);
      expect(log()).not.toContain("canary");
      vi.clearAllMocks();
    }
    parameters.set(SECRET_PARAMETER, kept);
  });
});
