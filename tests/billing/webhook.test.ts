import { createHmac, randomUUID } from "node:crypto";
import Stripe from "stripe";
import { afterEach, describe, expect, it, vi } from "vitest";
import { answered, delivery, event, SECRET, SECRET_PARAMETER, stage } from "./stage";

// The webhook's function as it is, real tables, a Stripe account, and whatever somebody may send.
const on = stage();
const log = () => JSON.stringify([...vi.mocked(console.error).mock.calls, ...vi.mocked(console.log).mock.calls]);

vi.spyOn(console, "error").mockImplementation(() => {});
vi.spyOn(console, "log").mockImplementation(() => {});
afterEach(() => vi.clearAllMocks());

const refused = { status: 400, body: { error: expect.objectContaining({ code: "signature_invalid" }) } };
const unavailable = { status: 503, body: { error: expect.objectContaining({ code: "unavailable" }) } };
const taken = (outcome: string) => ({ status: 200, body: { received: true, outcome } });

/** What became of a body as Stripe would send it. */
const send = (body: string, headers?: Record<string, string>) => answered(on().webhook(delivery(body, headers)));
const rowOf = async (userId: string) => on().rows.get(userId);

describe("a signature that is not Stripe's", () => {
  const body = event("customer.subscription.updated", { object: "subscription", id: "sub_1", customer: "cus_1" });
  const seconds = Math.floor(Date.now() / 1000);
  // By hand: the library's own way makes a time of now out of one that is none.
  const sign = (time: number | string, secret = SECRET) =>
    `t=${time},v1=${createHmac("sha256", secret)
      .update(`${Number.parseInt(String(time), 10)}.${body}`)
      .digest("hex")}`;
  const value = (header: string) => header.split(",v1=")[1];

  it.each([
    ["none", ""],
    ["blanks", "   "],
    ["no time", `v1=${value(sign(seconds))}`],
    ["a time that is no number", sign("now")],
    ["a time before all time", sign(-1)],
    ["a time of nothing", sign(0)],
    ["a time in milliseconds", sign(Date.now())],
    ["a time ahead behind a blank", sign(` ${seconds + 86_400}`)],
    ["a time ahead with a sign", sign(`+${seconds + 86_400}`)],
    ["a time with a tail", sign(`${seconds}x`)],
    ["a time in another notation", sign(`${seconds}e0`)],
    ["a later time than was signed", sign(seconds).replace(`t=${seconds}`, `t=${seconds - 1}`)],
    [
      "a hundred times",
      `${Array.from({ length: 100 }, (_, n) => `t=${seconds - n}`).join(",")},v1=${value(sign(seconds))}`,
    ],
    ["the old scheme", sign(seconds).replace("v1=", "v0=")],
    ["the scheme in capitals", sign(seconds).replace("v1=", "V1=")],
    ["half a value", sign(seconds).slice(0, -32)],
    ["a value in capitals", `t=${seconds},v1=${value(sign(seconds))?.toUpperCase()}`],
    ["a value of nothing", `t=${seconds},v1=`],
    ["letters that are none", `t=${seconds},v1=${"ё".repeat(64)}`],
    ["a secret of blanks", sign(seconds, " ")],
    ["another secret", sign(seconds, "whsec_of_somebody_else")],
  ])("%s", async (_name, signature) => {
    expect(await send(body, { "stripe-signature": signature })).toEqual(refused);
  });

  it("over more than was signed, or something else", async () => {
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

describe("what Stripe has signed", () => {
  it("is taken from a body in base64 too, whatever it is said to be", async () => {
    const { userId, customer, subscription } = await on().subscriber();
    const body = event("customer.subscription.updated", { object: "subscription", id: subscription, customer });
    const request = delivery(body, { "content-type": "application/octet-stream" });
    const base64 = { ...request, body: Buffer.from(body).toString("base64"), isBase64Encoded: true };
    expect(await answered(on().webhook(base64))).toEqual(taken("synced"));
    expect((await rowOf(userId))?.subscriptions).toHaveLength(1);
  });

  it.each([
    ["no JSON", "{"],
    ["nothing", "null"],
    ["a list", `[${event("invoice.paid", { object: "invoice", id: "in_1" })}]`],
    [
      "no event",
      JSON.stringify({ object: "charge", id: "ch_1", livemode: false, type: "charge.refunded", created: 1 }),
    ],
    ["no livemode", event("invoice.paid", { object: "invoice", id: "in_1" }, { livemode: undefined })],
    ["another livemode", event("invoice.paid", { object: "invoice", id: "in_1" }, { livemode: true })],
    ["a livemode that is a text", event("invoice.paid", { object: "invoice", id: "in_1" }, { livemode: "false" })],
    ["a byte order mark", `\uFEFF${event("invoice.paid", { object: "invoice", id: "in_1" })}`],
  ])("and is %s, is no event of ours", async (_name, body) => {
    expect(await send(body)).toEqual(refused);
  });

  it.each([
    ["a balance, which has no id", event("balance.available", { object: "balance", available: [] })],
    ["an upcoming invoice, which has none either", event("invoice.upcoming", { object: "invoice", customer: "cus_1" })],
    ["a kind of tomorrow", event("customer.subscription.dreamt", { object: "subscription", id: "sub_1" })],
    [
      "a thin event about nothing",
      JSON.stringify({
        object: "v2.core.event",
        id: "evt_1",
        type: "v1.balance.available",
        livemode: false,
        created: new Date().toISOString(),
        related_object: null,
      }),
    ],
  ])("and changes no plan, is taken: %s", async (_name, body) => {
    expect(await send(body)).toEqual(taken("ignored"));
  });

  it("in another version than ours is taken, and the operator told", async () => {
    const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
    const inVersion = (api_version: string) =>
      event("product.created", { object: "product", id: "prod_1" }, { api_version });
    expect(await send(inVersion(Stripe.API_VERSION))).toEqual(taken("ignored"));
    expect(warned).not.toHaveBeenCalled();
    expect(await send(inVersion("2025-08-27.basil"))).toEqual(taken("ignored"));
    expect(warned).toHaveBeenCalledWith(expect.objectContaining({ api_version: "2025-08-27.basil" }));
  });

  it("is not read further than 256 KiB", async () => {
    const long = event("invoice.paid", { object: "invoice", id: "in_1", padding: "ё".repeat(131_072) });
    expect(await send(long)).toMatchObject({ status: 413, body: { error: { code: "too_long" } } });
  });

  it("cannot reach further than an object: names of prototypes are names", async () => {
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

describe("an event that names a user", () => {
  const ours = (userId: string) => ({ user_id: userId, owner: on().settings.stripeOwner });
  const about = (userId: string, customer: string) =>
    event("customer.subscription.updated", {
      object: "subscription",
      id: "sub_1",
      customer,
      metadata: ours(userId),
    });

  it("does not tie them to a customer who is somebody else's", async () => {
    const other = await on().subscriber();
    const victim = randomUUID();
    expect(await send(about(victim, other.customer))).toEqual(taken("foreign"));
    expect(await rowOf(victim)).toBeUndefined();
    expect(log()).toContain("another_customer");
  });

  it("does not tie them to a customer of another stack", async () => {
    const userId = randomUUID();
    const metadata = { user_id: userId, owner: "snack-misaki/another" };
    const { id } = await on().stripe.customers.create({ metadata });
    expect(await send(about(userId, id))).toEqual(taken("foreign"));
    expect(await rowOf(userId)).toBeUndefined();
  });

  it("does not tie them to a customer whom Stripe does not know", async () => {
    const userId = randomUUID();
    expect(await send(about(userId, "cus_nobody"))).toEqual(unavailable);
    expect(await rowOf(userId)).toBeUndefined();
  });

  it("leaves the customer they have, and tells the operator", async () => {
    const { userId, customer } = await on().subscriber();
    await send(about(userId, customer));
    const other = await on().stripe.customers.create({ metadata: ours(userId) });
    expect(await send(about(userId, other.id))).toEqual(taken("synced"));
    expect((await rowOf(userId))?.stripe_customer_id).toBe(customer);
    expect(log()).toContain("another_customer");
  });

  it("ties them to a customer of theirs, and to one that says nothing", async () => {
    const userId = randomUUID();
    const { id } = await on().stripe.customers.create({});
    expect(await send(about(userId, id))).toEqual(taken("synced"));
    expect((await rowOf(userId))?.stripe_customer_id).toBe(id);
  });
});

describe("Parameter Store", () => {
  const body = event("invoice.upcoming", { object: "invoice" });
  const badlySigned = { "stripe-signature": "t=1,v1=00" };
  const failing = { status: 400, body: { __type: "ThrottlingException", message: "Rate exceeded" } };

  it("without the secret: nothing is believed", async () => {
    const { parameters, newWebhook } = on();
    const kept = parameters.get(SECRET_PARAMETER) ?? "";
    parameters.delete(SECRET_PARAMETER);
    const webhook = newWebhook();
    expect(await answered(webhook(delivery(body)))).toEqual(unavailable);
    parameters.set(SECRET_PARAMETER, kept);
    expect(await answered(webhook(delivery(body)))).toEqual(taken("ignored"));
  });

  it("that fails while somebody sends nonsense does not turn Stripe away", async () => {
    const { newWebhook, between } = on();
    const webhook = newWebhook();
    expect(await answered(webhook(delivery(body)))).toEqual(taken("ignored"));
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 60_000 });
    try {
      between.ssm.meddle = () => failing;
      expect(await answered(webhook(delivery(body, badlySigned)))).toEqual(unavailable);
      expect(await answered(webhook(delivery(body)))).toEqual(taken("ignored"));
    } finally {
      vi.useRealTimers();
    }
  });

  it("with a secret that was put there by hand: it does not reach the log", async () => {
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
