import Stripe from "stripe";
import { describe, expect, it } from "vitest";
import { PAID, stripeFixture } from "./fixture";

// These tests call the double with the real SDK. The double rejects the same requests as Stripe, with Stripe's error
// texts (https://docs.stripe.com/api/errors, /idempotent_requests, /pagination, /expanding_objects).
const fixture = stripeFixture();
const refusal = (work: Promise<unknown>) =>
  work.then(
    () => expect.fail("was not refused"),
    (error: unknown) => error as Stripe.errors.StripeError,
  );

describe("API request", () => {
  it("gets 401 when the API key is invalid or missing", async () => {
    const { double, client } = fixture();
    const wrong = await refusal(client("sk_test_0123456789abcdefWRONG").customers.list());
    expect(wrong).toBeInstanceOf(Stripe.errors.StripeAuthenticationError);
    expect(wrong.message).toMatch(/^Invalid API Key provided: sk_test_\*+RONG$/);
    const none = await fetch(`${double.url}/v1/customers`);
    expect(none.status).toBe(401);
    expect(await none.json()).toMatchObject({ error: { type: "invalid_request_error" } });
  });

  it("gets 404 when the URL is unknown", async () => {
    const { stripe } = fixture();
    const unknown = await refusal(stripe.rawRequest("POST", "/v1/tax_rates", {}));
    expect(unknown).toMatchObject({ statusCode: 404, type: "StripeInvalidRequestError" });
    expect(unknown.message).toContain("Unrecognized request URL (POST: /v1/tax_rates)");
  });

  it.each<[string, string, Record<string, unknown>, object]>([
    ["an unknown parameter", "/v1/customers", { colour: "red" }, { code: "parameter_unknown", param: "colour" }],
    [
      "an unknown nested parameter",
      "/v1/checkout/sessions",
      checkout({ subscription_data: { plan: "vip" } }),
      { code: "parameter_unknown", param: "subscription_data[plan]" },
    ],
    [
      "a parameter that Stripe has removed from the API",
      "/v1/checkout/sessions",
      checkout({ payment_method_types: ["card"] }),
      { code: "parameter_unknown", param: "payment_method_types" },
    ],
    [
      "a missing parameter",
      "/v1/subscriptions",
      { items: [{ price: PAID }] },
      { code: "parameter_missing", param: "customer" },
    ],
    [
      "an empty value for a parameter that cannot be unset",
      "/v1/products",
      { name: "" },
      { code: "parameter_invalid_empty", param: "name" },
    ],
    [
      "a text instead of a number",
      "/v1/checkout/sessions",
      checkout({ expires_at: "soon" }),
      { code: "parameter_invalid_integer", param: "expires_at" },
    ],
    [
      "a customer that does not exist",
      "/v1/subscriptions",
      { customer: "cus_none", items: [{ price: PAID }] },
      { code: "resource_missing", param: "customer" },
    ],
    [
      "a price that does not exist",
      "/v1/checkout/sessions",
      checkout({ line_items: [{ price: "price_none", quantity: 1 }] }),
      { code: "resource_missing", param: "line_items[0][price]" },
    ],
    [
      "konbini at a Checkout for a subscription",
      "/v1/checkout/sessions",
      checkout({ allowed_payment_method_types: ["card", "konbini"] }),
      { param: "allowed_payment_method_types" },
    ],
    [
      "a coupon that does not exist",
      "/v1/checkout/sessions",
      checkout({ discounts: [{ coupon: "none" }] }),
      { code: "resource_missing", param: "discounts[0][coupon]" },
    ],
    [
      "a Checkout Session that expires in less than 30 minutes",
      "/v1/checkout/sessions",
      checkout({ expires_at: Math.floor(Date.now() / 1000) + 1_799 }),
      { param: "expires_at" },
    ],
    [
      "a Checkout Session that expires after more than 24 hours",
      "/v1/checkout/sessions",
      checkout({ expires_at: Math.floor(Date.now() / 1000) + 86_500 }),
      { param: "expires_at" },
    ],
    [
      "an invalid webhook URL",
      "/v1/webhook_endpoints",
      { url: "example", enabled_events: ["*"] },
      { code: "url_invalid", param: "url" },
    ],
    [
      "an invalid webhook event type",
      "/v1/webhook_endpoints",
      { url: "https://example.com", enabled_events: ["Paid!"] },
      { param: "enabled_events[0]" },
    ],
  ])("is rejected with the parameter's name for %s", async (_name, path, params, expected) => {
    const { stripe } = fixture();
    const error = await refusal(stripe.rawRequest("POST", path, params));
    expect(error.statusCode).toBeGreaterThanOrEqual(400);
    expect(error.statusCode).toBeLessThan(500);
    expect(error).toMatchObject({ type: "StripeInvalidRequestError", ...expected });
  });

  it("gets a response with the request id and the API version", async () => {
    const { stripe } = fixture();
    const { lastResponse } = await stripe.customers.create();
    expect(lastResponse.requestId).toMatch(/^req_/);
    expect(lastResponse.headers["stripe-version"]).toBe(Stripe.API_VERSION);
    const error = await refusal(stripe.customers.retrieve("cus_none"));
    expect(error.requestId).toMatch(/^req_/);
  });
});

describe("request with an Idempotency-Key", () => {
  it("runs only once and returns the first response again when it is repeated", async () => {
    const { stripe } = fixture();
    const make = () => stripe.customers.create({ name: "森" }, { idempotencyKey: "key-1" });
    const first = await make();
    const second = await make();
    expect(second.id).toBe(first.id);
    expect(second.lastResponse.headers["idempotent-replayed"]).toBe("true");
    expect((await stripe.customers.list()).data).toHaveLength(1);
  });

  it("is rejected when the key was used with other parameters or for another call", async () => {
    const { stripe } = fixture();
    const options = { idempotencyKey: "key-1" };
    await stripe.customers.create({ name: "森" }, options);
    for (const work of [
      stripe.customers.create({ name: "星" }, options),
      stripe.products.create({ name: "森" }, options),
    ]) {
      expect(await refusal(work)).toBeInstanceOf(Stripe.errors.StripeIdempotencyError);
    }
  });

  it("gets 409 while another request with the same key is running", async () => {
    const { stripe, client, double } = fixture();
    double.switches.apiDelayMs = 200;
    const make = (sdk: Stripe) => sdk.customers.create({ name: "森" }, { idempotencyKey: "key-1" });
    const settled = await Promise.allSettled([make(stripe), make(stripe)]);
    expect(settled.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const patient = client(undefined, { maxNetworkRetries: 2 });
    const [one, other] = await Promise.all(
      [0, 1].map(() => patient.customers.create({ name: "星" }, { idempotencyKey: "key-2" })),
    );
    expect(one?.id).toBe(other?.id);
  });

  it("returns a stored server error on retry, but runs again after a validation error", async () => {
    const { stripe, double } = fixture();
    const refused = { idempotencyKey: "refused" };
    await refusal(stripe.subscriptions.create({ customer: "cus_none", items: [{ price: PAID }] }, refused));
    await stripe.customers.create({}, refused);

    double.switches.apiFailures = 1;
    const failed = { idempotencyKey: "failed" };
    expect(await refusal(stripe.customers.create({}, failed))).toMatchObject({ statusCode: 500 });
    expect(await refusal(stripe.customers.create({}, failed))).toMatchObject({ statusCode: 500 });
  });

  it("returns the stored response on retry after a broken connection", async () => {
    const { stripe, double } = fixture();
    // The SDK retries a request once after a closed connection, even with retries off.
    Object.assign(double.switches, { apiFailures: 2, apiFailureStatus: 0 });
    const make = () => stripe.customers.create({ name: "森" }, { idempotencyKey: "key-1" });
    expect(await refusal(make())).toBeInstanceOf(Stripe.errors.StripeConnectionError);
    const { id } = await make();
    expect((await stripe.customers.list()).data.map((one) => one.id)).toEqual([id]);
  });
});

describe("API list", () => {
  it("returns the newest object first and can be paged with the SDK", async () => {
    const { stripe } = fixture();
    for (const name of ["a", "b", "c", "d", "e"]) await stripe.customers.create({ name });
    const page = await stripe.customers.list({ limit: 2 });
    expect(page).toMatchObject({ has_more: true, url: "/v1/customers" });
    expect(page.data.map(({ name }) => name)).toEqual(["e", "d"]);
    const all: (string | null | undefined)[] = [];
    for await (const { name } of stripe.customers.list({ limit: 2 })) all.push(name);
    expect(all).toEqual(["e", "d", "c", "b", "a"]);
    const before = await stripe.customers.list({ ending_before: page.data[1]?.id ?? "", limit: 5 });
    expect(before.data.map(({ name }) => name)).toEqual(["e"]);
  });

  it("rejects a limit above 100 and an unknown cursor", async () => {
    const { stripe } = fixture();
    expect(await refusal(stripe.customers.list({ limit: 101 }))).toMatchObject({ param: "limit" });
    expect(await refusal(stripe.customers.list({ starting_after: "cus_none" }))).toMatchObject({
      code: "resource_missing",
      param: "starting_after",
    });
  });

  it("omits canceled subscriptions unless status is all", async () => {
    const { stripe, customer, subscription } = fixture();
    const owner = await customer();
    const { id } = await subscription(owner);
    await stripe.subscriptions.cancel(id);
    expect((await stripe.subscriptions.list({ customer: owner.id })).data).toEqual([]);
    expect((await stripe.subscriptions.list({ customer: owner.id, status: "all" })).data).toHaveLength(1);
  });
});

describe("expand parameter", () => {
  it("replaces ids with objects up to four levels deep", async () => {
    const { stripe, customer, subscription } = fixture();
    const { id } = await subscription(await customer());
    const expanded = await stripe.subscriptions.retrieve(id, {
      expand: ["customer", "latest_invoice", "items.data.price.product"],
    });
    expect(expanded).toMatchObject({
      customer: { object: "customer" },
      latest_invoice: { object: "invoice" },
      items: { data: [{ price: { product: { object: "product", name: "常連プラン" } } }] },
    });
    const deep = { expand: ["latest_invoice.parent.subscription_details.subscription.customer"] };
    expect(await refusal(stripe.subscriptions.retrieve(id, deep))).toMatchObject({ param: "expand" });
    expect(await refusal(stripe.subscriptions.retrieve(id, { expand: ["plan"] }))).toMatchObject({ param: "expand" });
  });
});

describe("webhook endpoints", () => {
  it("are limited to sixteen and return their secret only on creation", async () => {
    const { stripe } = fixture();
    const make = () =>
      stripe.webhookEndpoints.create({ url: "https://example.com/webhook", enabled_events: ["invoice.paid"] });
    const made = await Promise.all(Array.from({ length: 16 }, make));
    expect(new Set(made.map(({ secret }) => secret)).size).toBe(16);
    expect((await refusal(make())).message).toContain("maximum of 16");
    const { data } = await stripe.webhookEndpoints.list({ limit: 100 });
    expect(data.some((endpoint) => "secret" in endpoint)).toBe(false);
  });
});

function checkout(more: Record<string, unknown>): Record<string, unknown> {
  return {
    mode: "subscription",
    line_items: [{ price: PAID, quantity: 1 }],
    success_url: "http://localhost/done",
    ...more,
  };
}
