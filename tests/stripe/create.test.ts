import Stripe from "stripe";
import { describe, expect, it } from "vitest";
import { make, stage } from "./stage";

const on = stage();

const MAKE = "POST /v1/webhook_endpoints";
const SHOW = "GET /v1/webhook_endpoints/id";
const CHANGE = "POST /v1/webhook_endpoints/id";

/** Calls that stripe-node makes before it gives up. */
const ATTEMPTS = 3;

const idsAtStripe = () =>
  on()
    .stripe.account.webhookEndpoints()
    .map(({ id }) => id);

/** An endpoint that no create of ours is told of; by default it bears the mark of ours. */
function plant(metadata: Record<string, string> = {}, rest: Partial<Stripe.WebhookEndpointCreateParams> = {}) {
  return on().client.webhookEndpoints.create({
    url: "https://api.example.com/webhook/stripe",
    enabled_events: ["invoice.paid"],
    api_version: Stripe.API_VERSION,
    metadata: { app: "snack-misaki", stack: "snack-misaki/dev", generation: "1", ...metadata },
    ...rest,
  });
}

describe("a create whose outcome is not known", () => {
  it("takes over what the lost answer told of", async () => {
    const { proxy, stripe, endpoint, inputs } = on();
    proxy.fail(MAKE, "lost answer");
    const { id, outs } = await make(endpoint, inputs);
    expect(stripe.account.webhookEndpoints()).toMatchObject([{ id, secret: outs.secret }]);
  });

  it("that fails in the end leaves one that the next takes over, with its secret", async () => {
    const { proxy, stripe, endpoint, inputs } = on();
    proxy.fail(MAKE, "lost answer", ATTEMPTS);
    await expect(make(endpoint, inputs)).rejects.toThrow(
      /^2 UNKNOWN: Stripe did not answer when asked to make the webhook endpoint: .* Run "pulumi up" again/,
    );
    expect(proxy.count(MAKE)).toBe(ATTEMPTS);
    const [left] = idsAtStripe();
    const { id, outs } = await make(endpoint, inputs);
    expect(id).toBe(left);
    expect(stripe.account.webhookEndpoints()).toMatchObject([{ id, secret: outs.secret }]);
  });

  it("ends the same when it broke off later", async () => {
    const { proxy, endpoint, inputs } = on();
    proxy.fail(SHOW, "not reached", ATTEMPTS);
    await expect(make(endpoint, inputs)).rejects.toThrow("Stripe did not answer when asked to show");
    const [left] = idsAtStripe();
    expect((await make(endpoint, inputs)).id).toBe(left);
    expect(idsAtStripe()).toEqual([left]);
  });

  it("ends with one endpoint when only the last answer was lost", async () => {
    const { proxy, stripe, endpoint, inputs } = on();
    proxy.fail(CHANGE, "lost answer", ATTEMPTS);
    await expect(make(endpoint, inputs)).rejects.toThrow("Stripe did not answer when asked to change");
    const { id, outs } = await make(endpoint, inputs);
    expect(stripe.account.webhookEndpoints()).toMatchObject([{ id, secret: outs.secret }]);
  });

  it("replaces what was left longer ago than Stripe repeats its answers", async () => {
    const { endpoint, inputs } = on();
    const left = await plant();
    const { id } = await make(endpoint, inputs);
    expect(id).not.toBe(left.id);
    expect(idsAtStripe()).toEqual([id]);
  });

  it.each([
    ["no mark", { metadata: {} }],
    ["another stack's mark", { metadata: { app: "snack-misaki", stack: "snack-misaki/prod", generation: "1" } }],
    ["another generation", { metadata: { app: "snack-misaki", stack: "snack-misaki/dev", generation: "2" } }],
    ["another version", { api_version: "2026-09-30.endive" as const }],
  ])("leaves an endpoint of the same URL with %s alone", async (_, rest) => {
    const { endpoint, inputs } = on();
    const foreign = await plant({}, rest);
    const { id } = await make(endpoint, inputs);
    expect(idsAtStripe().sort()).toEqual([foreign.id, id].sort());
  });

  it("is tried again, with the same key, while Stripe is down", async () => {
    const { proxy, endpoint, inputs } = on();
    proxy.fail(MAKE, { status: 503, body: { error: { type: "api_error", message: "Down." } } });
    const { id } = await make(endpoint, inputs);
    expect(idsAtStripe()).toEqual([id]);
    const [first, second] = proxy.calls;
    expect(second?.headers["idempotency-key"]).toBe(first?.headers["idempotency-key"]);
  });

  it("is given up after three attempts", async () => {
    const { proxy, endpoint, inputs } = on();
    const body = { error: { type: "api_error", message: "Down." } };
    proxy.fail(MAKE, { status: 503, body, headers: { "request-id": "req_1" } }, 9);
    await expect(make(endpoint, inputs)).rejects.toThrow(
      "Stripe could not make the webhook endpoint: HTTP 503, Down. (req_1)",
    );
    expect(proxy.count(MAKE)).toBe(ATTEMPTS);
  });

  it("is not tried again after a refusal", async () => {
    const { proxy, endpoint, inputs } = on();
    const body = { error: { type: "invalid_request_error", message: "Invalid URL: unreachable." } };
    proxy.fail(MAKE, { status: 400, body });
    await expect(make(endpoint, inputs)).rejects.toThrow(
      "Stripe refused to make the webhook endpoint: HTTP 400, Invalid URL: unreachable.",
    );
    expect(proxy.count(MAKE)).toBe(1);
  });
});

describe("an answer that Stripe has kept from an earlier create", () => {
  it("of an endpoint deleted since then is not believed", async () => {
    const { endpoint, inputs } = on();
    const first = await make(endpoint, inputs);
    await endpoint.delete(first.id, first.outs);
    // As often as a developer may do it in a day.
    const second = await make(endpoint, inputs);
    await endpoint.delete(second.id, second.outs);
    const third = await make(endpoint, inputs);
    expect(idsAtStripe()).toEqual([third.id]);
    expect(third.outs.secret).not.toBe(first.outs.secret);
  });

  it("of the endpoint that a forced replacement is to replace is not taken: that one is deleted next", async () => {
    const { endpoint, inputs } = on();
    const first = await make(endpoint, inputs);
    const second = await make(endpoint, inputs);
    await endpoint.delete(first.id, first.outs);
    expect(idsAtStripe()).toEqual([second.id]);
  });

  it("of a failure does not fail for a day", async () => {
    const { proxy, endpoint, inputs } = on();
    const body = { error: { type: "api_error", message: "Down." } };
    const headers = { "idempotent-replayed": "true", "stripe-should-retry": "false" };
    proxy.fail(MAKE, { status: 500, body, headers });
    const { id } = await make(endpoint, inputs);
    expect(idsAtStripe()).toEqual([id]);
    const [first, second] = proxy.calls;
    expect(second?.headers["idempotency-key"]).not.toBe(first?.headers["idempotency-key"]);
  });
});

describe("an account that has all the endpoints it may have", () => {
  const foreign = (n: number) => plant({}, { url: `https://elsewhere.example/${n}`, metadata: {} });

  it("is an error that says how many and what to do, and deletes nothing", async () => {
    const { endpoint, inputs } = on();
    for (let n = 0; n < 16; n++) await foreign(n);
    await expect(make(endpoint, inputs)).rejects.toThrow(
      "Stripe has 16 webhook endpoints in this account and mode and allows no more. Delete one that nobody needs in its " +
        'dashboard (Developers, Webhooks), then run "pulumi up" again.',
    );
    expect(idsAtStripe()).toHaveLength(16);
  });

  it("has room once somebody has made it", async () => {
    const { client, endpoint, inputs } = on();
    const all = [];
    for (let n = 0; n < 16; n++) all.push(await foreign(n));
    await expect(make(endpoint, inputs)).rejects.toThrow("allows no more");
    await client.webhookEndpoints.del(all[0]?.id ?? "");
    await make(endpoint, inputs);
    expect(idsAtStripe()).toHaveLength(16);
  });

  it("has room after what an earlier create has left is deleted", async () => {
    const { endpoint, inputs } = on();
    const left = await plant();
    for (let n = 1; n < 16; n++) await foreign(n);
    const { id } = await make(endpoint, inputs);
    expect(idsAtStripe()).toHaveLength(16);
    expect(idsAtStripe()).toContain(id);
    expect(idsAtStripe()).not.toContain(left.id);
  });
});
