import { randomUUID } from "node:crypto";
import { inspect } from "node:util";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { create as createCheckout } from "../../functions/checkout";
import type { Handler, Request } from "../../functions/lib/http";
import { create as createPortal } from "../../functions/portal";
import { create as createSync } from "../../functions/sync";
import { answered, billingFixture, delivery, event, requestContext, SECRET } from "./fixture";
import { pool, signedInAs } from "./signedInAs";

// These tests send valid and invalid requests to the customers' three billing routes.
const on = billingFixture();
const tokenOf = signedInAs();
let checkout: Handler;
let portal: Handler;
let sync: Handler;

const streams = (["log", "info", "warn", "error", "debug"] as const).map((name) =>
  vi.spyOn(console, name).mockImplementation(() => {}),
);
const logged = () =>
  inspect(
    streams.map(({ mock }) => mock.calls),
    { depth: null },
  );

beforeAll(() => {
  const settings = { ...on().settings, ...pool };
  const returnUrls = ["https://app.example/", "http://localhost:5173/chat?from=mail#top"];
  checkout = createCheckout({ ...settings, returnUrls });
  portal = createPortal({ ...settings, returnUrls });
  sync = createSync(settings);
});
afterEach(() => vi.clearAllMocks());

async function ask(
  route: Handler,
  body: string | undefined,
  { user = randomUUID(), headers = {} }: { user?: string; headers?: Record<string, string> } = {},
) {
  const signedIn = { authorization: `Bearer ${await tokenOf(user)}`, ...headers };
  return answered(route({ ...requestContext, body, isBase64Encoded: false, headers: signedIn } as unknown as Request));
}
const invalid = (message: string) => ({
  status: 400,
  body: { error: { code: "invalid_input", message, retryable: false } },
});
const unavailable = { status: 503, body: { error: { code: "unavailable" } } };

describe("POST /billing/checkout", () => {
  const oneOf = "body.plan: must be one of paid, vip";
  it.each([
    [undefined, oneOf],
    ["", oneOf],
    ["{}", oneOf],
    ['{"plan":null}', oneOf],
    ['{"plan":["paid"]}', oneOf],
    ['{"plan":{"$gt":""}}', oneOf],
    ['{"plan":"free"}', oneOf],
    ['{"plan":"PAID"}', oneOf],
    ['{"plan":"paid "}', oneOf],
    ['{"plan":"toString"}', oneOf],
    ['{"__proto__":{"plan":"vip"}}', "body: unknown field __proto__"],
    ["null", "body: must be object"],
    ["[]", "body: must be object"],
    ['"paid"', "body: must be object"],
    ["plan=paid", "body: must be JSON"],
    ['\uFEFF{"plan":"paid"}', "body: must be JSON"],
    ['{"plan":"paid"} {}', "body: must be JSON"],
    ['{"plan":"paid","__proto__":{}}', "body: unknown field __proto__"],
    ['{"plan":"paid","constructor":{}}', "body: unknown field constructor"],
    ['{"plan":"paid","user_id":"u"}', "body: unknown field user_id"],
    ['{"plan":"paid","price":"price_1"}', "body: unknown field price"],
    [`{"plan":"paid","${"k".repeat(500)}":1}`, `body: unknown field ${"k".repeat(100)}`],
    [" ".repeat(8_193), "body: must be at most 8192 bytes"],
  ])("rejects the body %s without calling Stripe", async (body, message) => {
    const user = randomUUID();
    expect(await ask(checkout, body, { user })).toEqual(invalid(message));
    expect(await on().rows.get(user)).toBeUndefined();
  });

  it.each([
    ["https://app.example", "https://app.example/?checkout=success"],
    ["http://localhost:5173", "http://localhost:5173/chat?from=mail&checkout=success#top"],
    ["https://app.example.evil.example", "https://app.example/?checkout=success"],
    ["https://evil.example", "https://app.example/?checkout=success"],
    ["http://localhost:5173, https://evil.example", "https://app.example/?checkout=success"],
    ["https://user@app.example", "https://app.example/?checkout=success"],
    ["javascript:alert(1)", "https://app.example/?checkout=success"],
    ["null", "https://app.example/?checkout=success"],
  ])("sets one of the configured success URLs for the origin %s", async (origin, successUrl) => {
    const { body } = await ask(checkout, '{"plan":"paid"}', { headers: { origin } });
    const [id = ""] = /cs_\w+/.exec((body as { url: string }).url) ?? [];
    expect((await on().stripe.checkout.sessions.retrieve(id)).success_url).toBe(successUrl);
  });

  it("opens one session for forty concurrent requests and rate-limits some of them", async () => {
    const user = randomUUID();
    const answers = await Promise.all(Array.from({ length: 40 }, () => ask(checkout, '{"plan":"paid"}', { user })));
    expect(answers.map(({ status }) => status)).toContain(429);
    const urls = answers.filter(({ status }) => status === 200).map(({ body }) => (body as { url: string }).url);
    expect(new Set(urls).size).toBe(1);
  });
});

describe("POST /billing/portal and /billing/sync", () => {
  it("reject a user id or a customer id in the request", async () => {
    for (const route of [portal, sync]) {
      expect(await ask(route, "null")).toEqual(invalid("body: must be object"));
      expect(await ask(route, '{"user_id":"u"}')).toEqual(invalid("body: unknown field user_id"));
      expect(await ask(route, '{"customer":"cus_1"}')).toEqual(invalid("body: unknown field customer"));
    }
  });

  it("return an error when Stripe returns no portal URL", async () => {
    const user = randomUUID();
    await ask(checkout, '{"plan":"paid"}', { user });
    on().between.stripe.fault = ({ path }) =>
      path.startsWith("/v1/billing_portal") ? (session: object) => ({ ...session, url: undefined }) : undefined;
    expect(await ask(portal, "{}", { user })).toMatchObject(unavailable);
  });
});

describe("log of the billing functions", () => {
  it("contains no secret, e-mail address or request content", async () => {
    const user = `canary-user-${randomUUID()}`;
    const urls: unknown[] = [];
    const everything = async () => {
      urls.push((await ask(checkout, '{"plan":"paid"}', { user })).body, (await ask(portal, "{}", { user })).body);
      await ask(sync, "{}", { user });
      await ask(checkout, '{"plan":"canary"}', { user });
      const customer = (await on().rows.get(user))?.stripe_customer_id;
      const invoice = { object: "invoice", id: "in_1", customer, customer_email: "canary@example.com" };
      const body = event("invoice.paid", invoice);
      await on().webhook(delivery(body));
      await on().webhook(delivery(body, { "stripe-signature": "t=1,v1=canary" }));
    };
    await everything();
    const { stripe, dynamodb } = on().between;
    stripe.fault = () => ({ status: 500, body: { error: { message: "canary of what was sent" } } });
    await everything();
    stripe.fault = ({ path }) => (path.startsWith("/v1/customers") ? () => ({ object: "account" }) : undefined);
    await everything();
    stripe.fault = () => undefined;
    dynamodb.fault = ({ operation }) =>
      operation === "UpdateItem" ? { status: 400, body: { __type: "ThrottlingException" } } : undefined;
    await everything();
    dynamodb.fault = () => undefined;

    const log = logged();
    expect(log).toContain("ThrottlingException");
    expect(log).toContain("synced");
    for (const secret of ["canary", SECRET, "rk_test", "Bearer", "eyJ", "/c/pay/", "/p/session/", "@example.com"])
      expect(log).not.toContain(secret);
    expect(JSON.stringify(urls)).toContain("/c/pay/");
  });
});
