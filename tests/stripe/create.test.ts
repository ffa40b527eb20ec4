import Stripe from "stripe";
import { describe, expect, it } from "vitest";
import { unfinished } from "../runpod/engine";
import { createResource, stripeFixture } from "./fixture";

const fixture = stripeFixture();

const CREATE = "POST /v1/webhook_endpoints";
const READ = "GET /v1/webhook_endpoints/id";
const CHANGE = "POST /v1/webhook_endpoints/id";

/** Number of attempts after which stripe-node gives up. */
const ATTEMPTS = 3;

const idsAtStripe = () =>
  fixture()
    .stripe.account.webhookEndpoints()
    .map(({ id }) => id);

/** Creates an endpoint without the provider. By default it has the owner tag of the fixture's stack. */
function addEndpoint(metadata: Record<string, string> = {}, rest: Partial<Stripe.WebhookEndpointCreateParams> = {}) {
  return fixture().client.webhookEndpoints.create({
    url: "https://api.example.com/webhook/stripe",
    enabled_events: ["invoice.paid"],
    api_version: Stripe.API_VERSION,
    metadata: { app: "snack-misaki", stack: "snack-misaki/dev", generation: "1", ...metadata },
    ...rest,
  });
}

describe("A create of an endpoint", () => {
  it("creates no second endpoint when the answer to the first attempt is lost", async () => {
    const { proxy, stripe, endpoint, inputs } = fixture();
    proxy.fail(CREATE, "lost answer");
    const { id, outs } = await createResource(endpoint, inputs);
    expect(stripe.account.webhookEndpoints()).toMatchObject([{ id, secret: outs.secret }]);
  });

  it("adopts the endpoint and the secret of an earlier create that got no answer", async () => {
    const { proxy, stripe, endpoint, inputs } = fixture();
    proxy.fail(CREATE, "lost answer", ATTEMPTS);
    await expect(createResource(endpoint, inputs)).rejects.toThrow(
      /^2 UNKNOWN: Stripe did not answer the call to create the webhook endpoint: .* Run "pulumi up" again/,
    );
    expect(proxy.count(CREATE)).toBe(ATTEMPTS);
    const [left] = idsAtStripe();
    const { id, outs } = await createResource(endpoint, inputs);
    expect(id).toBe(left);
    expect(stripe.account.webhookEndpoints()).toMatchObject([{ id, secret: outs.secret }]);
  });

  it("adopts the endpoint of an earlier create that failed in its second call", async () => {
    const { proxy, endpoint, inputs } = fixture();
    proxy.fail(READ, "lost request", ATTEMPTS);
    await expect(createResource(endpoint, inputs)).rejects.toThrow("Stripe did not answer the call to read");
    const [left] = idsAtStripe();
    expect((await createResource(endpoint, inputs)).id).toBe(left);
    expect(idsAtStripe()).toEqual([left]);
  });

  it("leaves a single endpoint when the answer to the final call of an earlier create was lost", async () => {
    const { proxy, stripe, endpoint, inputs } = fixture();
    proxy.fail(CHANGE, "lost answer", ATTEMPTS);
    await expect(createResource(endpoint, inputs)).rejects.toThrow("Stripe did not answer the call to change");
    const { id, outs } = await createResource(endpoint, inputs);
    expect(stripe.account.webhookEndpoints()).toMatchObject([{ id, secret: outs.secret }]);
  });

  it("records the endpoint and its secret when the final call gets no answer", async () => {
    const { proxy, stripe, endpoint, inputs } = fixture();
    proxy.fail(CHANGE, "lost request", ATTEMPTS);
    const error: unknown = await createResource(endpoint, inputs).catch((error) => error);
    const [existing] = stripe.account.webhookEndpoints();
    const recorded = unfinished(error);
    const { id = "", secret } = existing ?? {};
    expect(recorded).toMatchObject({ id, properties: { ...inputs, secret, status: "enabled" } });

    const updated = await endpoint.update(id, recorded?.properties ?? {}, inputs);
    expect(updated.secret).toBe(secret);
    const { metadata } = await fixture().client.webhookEndpoints.retrieve(id);
    expect(metadata).toMatchObject({ settled: "true" });
  });

  it("replaces the endpoint of an earlier create when Stripe no longer returns the secret", async () => {
    const { endpoint, inputs } = fixture();
    const left = await addEndpoint();
    const { id } = await createResource(endpoint, inputs);
    expect(id).not.toBe(left.id);
    expect(idsAtStripe()).toEqual([id]);
  });

  it.each([
    ["no owner tag", { metadata: {} }],
    [
      "the owner tag of another stack",
      { metadata: { app: "snack-misaki", stack: "snack-misaki/prod", generation: "1" } },
    ],
    ["another generation", { metadata: { app: "snack-misaki", stack: "snack-misaki/dev", generation: "2" } }],
    ["another API version", { api_version: "2026-09-30.endive" as const }],
  ])("does not delete an endpoint that has the same URL but %s", async (_case, rest) => {
    const { endpoint, inputs } = fixture();
    const foreign = await addEndpoint({}, rest);
    const { id } = await createResource(endpoint, inputs);
    expect(idsAtStripe().sort()).toEqual([foreign.id, id].sort());
  });

  it("is retried with the same idempotency key after a server error", async () => {
    const { proxy, endpoint, inputs } = fixture();
    proxy.fail(CREATE, { status: 503, body: { error: { type: "api_error", message: "Down." } } });
    const { id } = await createResource(endpoint, inputs);
    expect(idsAtStripe()).toEqual([id]);
    const [first, second] = proxy.calls;
    expect(second?.headers["idempotency-key"]).toBe(first?.headers["idempotency-key"]);
  });

  it("fails after three attempts when each attempt gets a server error", async () => {
    const { proxy, endpoint, inputs } = fixture();
    const body = { error: { type: "api_error", message: "Down." } };
    proxy.fail(CREATE, { status: 503, body, headers: { "request-id": "req_1" } }, 9);
    await expect(createResource(endpoint, inputs)).rejects.toThrow(
      "Stripe could not create the webhook endpoint: HTTP 503, Down. (req_1)",
    );
    expect(proxy.count(CREATE)).toBe(ATTEMPTS);
  });

  it("is not retried after Stripe answers with HTTP 400", async () => {
    const { proxy, endpoint, inputs } = fixture();
    const body = { error: { type: "invalid_request_error", message: "Invalid URL: unreachable." } };
    proxy.fail(CREATE, { status: 400, body });
    await expect(createResource(endpoint, inputs)).rejects.toThrow(
      "Stripe refused to create the webhook endpoint: HTTP 400, Invalid URL: unreachable.",
    );
    expect(proxy.count(CREATE)).toBe(1);
  });
});

describe("A response that Stripe replays for a used idempotency key", () => {
  it("is ignored when its endpoint has been deleted", async () => {
    const { endpoint, inputs } = fixture();
    const first = await createResource(endpoint, inputs);
    await endpoint.delete(first.id, first.outs);
    // Stripe replays its first response for a day. A developer can create and delete the endpoint several times in a
    // day.
    const second = await createResource(endpoint, inputs);
    await endpoint.delete(second.id, second.outs);
    const third = await createResource(endpoint, inputs);
    expect(idsAtStripe()).toEqual([third.id]);
    expect(third.outs.secret).not.toBe(first.outs.secret);
  });

  it("is ignored when its endpoint is already in Pulumi's state", async () => {
    const { endpoint, inputs } = fixture();
    const first = await createResource(endpoint, inputs);
    const second = await createResource(endpoint, inputs);
    await endpoint.delete(first.id, first.outs);
    expect(idsAtStripe()).toEqual([second.id]);
  });

  it("is ignored when the replayed response is an error", async () => {
    const { proxy, endpoint, inputs } = fixture();
    const body = { error: { type: "api_error", message: "Down." } };
    const headers = { "idempotent-replayed": "true", "stripe-should-retry": "false" };
    proxy.fail(CREATE, { status: 500, body, headers });
    const { id } = await createResource(endpoint, inputs);
    expect(idsAtStripe()).toEqual([id]);
    const [first, second] = proxy.calls;
    expect(second?.headers["idempotency-key"]).not.toBe(first?.headers["idempotency-key"]);
  });
});

describe("A create in an account with the maximum number of endpoints", () => {
  const foreign = (n: number) => addEndpoint({}, { url: `https://elsewhere.example/${n}`, metadata: {} });

  it("fails with the number of endpoints and the next step, and deletes nothing", async () => {
    const { endpoint, inputs } = fixture();
    for (let n = 0; n < 16; n++) await foreign(n);
    await expect(createResource(endpoint, inputs)).rejects.toThrow(
      "This Stripe account has 16 webhook endpoints in this mode (test or live), and Stripe allows no more. Delete an " +
        'unused endpoint in Stripe\'s dashboard (Developers, Webhooks), then run "pulumi up" again.',
    );
    expect(idsAtStripe()).toHaveLength(16);
  });

  it("succeeds after somebody has deleted an endpoint", async () => {
    const { client, endpoint, inputs } = fixture();
    const all = [];
    for (let n = 0; n < 16; n++) all.push(await foreign(n));
    await expect(createResource(endpoint, inputs)).rejects.toThrow("allows no more");
    await client.webhookEndpoints.del(all[0]?.id ?? "");
    await createResource(endpoint, inputs);
    expect(idsAtStripe()).toHaveLength(16);
  });

  it("deletes the endpoint of an earlier failed create to make room", async () => {
    const { endpoint, inputs } = fixture();
    const left = await addEndpoint();
    for (let n = 1; n < 16; n++) await foreign(n);
    const { id } = await createResource(endpoint, inputs);
    expect(idsAtStripe()).toHaveLength(16);
    expect(idsAtStripe()).toContain(id);
    expect(idsAtStripe()).not.toContain(left.id);
  });
});
