import { unknownValue as UNKNOWN } from "@pulumi/pulumi/runtime/rpc";
import Stripe from "stripe";
import { describe, expect, it } from "vitest";
import { webhookEvents } from "../../stripe/events";
import { startEngine, unfinished } from "../runpod/engine";
import { createResource, stripeFixture } from "./fixture";

const fixture = stripeFixture();

const READ = "GET /v1/webhook_endpoints/id";
const CHANGE = "POST /v1/webhook_endpoints/id";

/** Lists the endpoints that exist at Stripe, oldest first. */
async function atStripe() {
  const { data } = await fixture().client.webhookEndpoints.list({ limit: 100 });
  return data.reverse();
}

describe("A webhook endpoint", () => {
  it("is created with the owner tag and has its secret as an output", async () => {
    const { stripe, endpoint, inputs } = fixture();
    const { id, outs } = await createResource(endpoint, inputs);
    const [created, ...others] = await atStripe();
    expect(others).toEqual([]);
    expect(created).toMatchObject({
      id,
      url: "https://api.example.com/webhook/stripe",
      enabled_events: ["customer.subscription.updated", "invoice.paid"],
      description: "snack-misaki/dev",
      api_version: Stripe.API_VERSION,
      status: "enabled",
      metadata: { app: "snack-misaki", stack: "snack-misaki/dev", generation: "1", settled: "true" },
    });
    const [{ secret } = { secret: undefined }] = stripe.account.webhookEndpoints();
    expect(secret).toMatch(/^whsec_\w+$/);
    expect(outs).toEqual({ ...inputs, apiVersion: Stripe.API_VERSION, secret, status: "enabled" });
  });

  it("shows no diff after a refresh, even if the program has reordered its events", async () => {
    const { endpoint, inputs } = fixture();
    const created = await createResource(endpoint, inputs);
    const read = await endpoint.read(created.id, created.outs);
    expect(read).toEqual({ id: created.id, outs: created.outs, inputs: created.inputs });
    const reordered = { ...created.inputs, enabledEvents: ["customer.subscription.updated", "invoice.paid"] };
    expect(await endpoint.diff(created.id, read.outs, reordered)).toEqual({ changes: false, replaces: [] });
  });

  it.each([
    [{ url: "https://api.example.com/other" }, []],
    [{ enabledEvents: ["invoice.paid"] }, []],
    [{ description: "another" }, []],
    [{ owner: "snack-misaki/prod" }, []],
    [{ apiVersion: "2026-09-30.endive" }, ["apiVersion"]],
    [{ secretGeneration: 2 }, ["secretGeneration"]],
    [{ secretGeneration: 2, apiVersion: "2026-09-30.endive", url: UNKNOWN }, ["apiVersion", "secretGeneration"]],
    [{ url: UNKNOWN }, []],
    [{ enabledEvents: [UNKNOWN] }, []],
  ])("shows a diff for the change %j and requires a replacement for the fields %j", async (change, replaces) => {
    const { endpoint, inputs } = fixture();
    const { id, outs } = await createResource(endpoint, inputs);
    const checked = await endpoint.check({ ...inputs, ...change });
    expect(checked.failures).toEqual([]);
    const diff = await endpoint.diff(id, outs, checked.inputs);
    expect({ ...diff, replaces: diff.replaces.sort() }).toEqual({ changes: true, replaces });
  });

  it("is updated in place and keeps its secret when URL, events, description and owner change", async () => {
    const { endpoint, inputs } = fixture();
    const { id, outs } = await createResource(endpoint, inputs);
    const change = {
      url: "https://api.example.com/other",
      enabledEvents: ["invoice.paid", "charge.refunded"],
      description: "another",
      owner: "snack-misaki/prod",
    };
    const checked = await endpoint.check({ ...inputs, ...change });
    const updated = await endpoint.update(id, outs, checked.inputs);
    expect(updated).toEqual({ ...outs, ...change });
    expect(await atStripe()).toMatchObject([
      {
        id,
        url: change.url,
        enabled_events: ["charge.refunded", "invoice.paid"],
        description: "another",
        metadata: { app: "snack-misaki", stack: "snack-misaki/prod", generation: "1" },
      },
    ]);
    expect((await endpoint.read(id, updated)).outs).toEqual(updated);
  });

  it("has the attempted inputs in its state when the outcome of an update is unknown", async () => {
    const { proxy, endpoint, inputs } = fixture();
    const { id, inputs: before, outs } = await createResource(endpoint, inputs);
    const { inputs: attempted } = await endpoint.check({ ...inputs, url: "https://api.example.com/other" });
    proxy.fail(CHANGE, "lost answer", 3);
    const error: unknown = await endpoint.update(id, outs, attempted).catch((error) => error);
    const recorded = unfinished(error);
    expect(recorded).toMatchObject({ id, properties: { ...attempted, secret: outs.secret } });
    expect((await endpoint.diff(id, recorded?.properties ?? {}, before)).changes).toBe(true);
  });

  it("does not have the inputs of a refused update in its state", async () => {
    const { proxy, endpoint, inputs } = fixture();
    const { id, outs } = await createResource(endpoint, inputs);
    const body = { error: { type: "invalid_request_error", message: "Invalid URL: unreachable." } };
    proxy.fail(CHANGE, { status: 400, body });
    const error: unknown = await endpoint.update(id, outs, outs).catch((error) => error);
    expect(String(error)).toContain("Invalid URL: unreachable.");
    expect(unfinished(error)).toBeUndefined();
  });

  it("stays enabled while a higher secretGeneration creates a second endpoint", async () => {
    const { stripe, endpoint, inputs } = fixture();
    const first = await createResource(endpoint, inputs);
    const second = await createResource(endpoint, { ...inputs, secretGeneration: 2 });
    expect(second.id).not.toBe(first.id);
    expect(second.outs.secret).not.toBe(first.outs.secret);
    expect(stripe.account.webhookEndpoints().map(({ id, secret, status }) => ({ id, secret, status }))).toEqual(
      expect.arrayContaining([first, second].map(({ id, outs }) => ({ id, secret: outs.secret, status: "enabled" }))),
    );
    await endpoint.delete(first.id, first.outs);
    expect((await atStripe()).map(({ id }) => id)).toEqual([second.id]);
  });

  it("is enabled by the next update after somebody has disabled it", async () => {
    const { client, endpoint, inputs } = fixture();
    const created = await createResource(endpoint, inputs);
    await client.webhookEndpoints.update(created.id, { disabled: true });
    const read = await endpoint.read(created.id, created.outs);
    expect(read.outs).toEqual({ ...created.outs, status: "disabled" });
    expect(read.inputs).toEqual(created.inputs);
    expect(await endpoint.diff(created.id, read.outs, created.inputs)).toEqual({ changes: true, replaces: [] });
    const updated = await endpoint.update(created.id, read.outs, created.inputs);
    expect(updated).toEqual(created.outs);
    expect(await atStripe()).toMatchObject([{ status: "enabled" }]);
  });

  it.each([
    [{ url: "https://elsewhere.example/" }, { url: "https://elsewhere.example/" }],
    [{ enabled_events: ["invoice.paid" as const] }, { enabledEvents: ["invoice.paid"] }],
    [{ description: "" }, { description: "" }],
    [{ metadata: { stack: "snack-misaki/prod" } }, { owner: "" }],
    [{ metadata: { generation: "" } }, { owner: "" }],
  ])(
    "shows drift after the change %j in Stripe's dashboard, and an update reverts this change",
    async (edit, drift) => {
      const { client, endpoint, inputs } = fixture();
      const created = await createResource(endpoint, inputs);
      const before = await atStripe();
      await client.webhookEndpoints.update(created.id, edit);
      const read = await endpoint.read(created.id, created.outs);
      expect(read.outs).toEqual({ ...created.outs, ...drift });
      expect(read.inputs).toEqual({ ...created.inputs, ...drift });
      expect(await endpoint.diff(created.id, read.outs, created.inputs)).toEqual({ changes: true, replaces: [] });
      await endpoint.update(created.id, read.outs, created.inputs);
      expect(await atStripe()).toEqual(before);
    },
  );

  it("gets its owner tag again by a refresh and an up after somebody has removed the tag", async () => {
    const { endpoint, inputs, client } = fixture();
    const created = await createResource(endpoint, inputs);
    await client.webhookEndpoints.update(created.id, { metadata: { app: "", stack: "", generation: "" } });
    const read = await endpoint.read(created.id, created.outs);
    const checked = await endpoint.check(inputs, read.inputs);
    expect(checked.failures).toEqual([]);
    expect((await endpoint.diff(created.id, read.outs, checked.inputs)).changes).toBe(true);
    await endpoint.update(created.id, read.outs, checked.inputs);
    const [{ metadata } = { metadata: {} }] = await atStripe();
    expect(metadata).toEqual({ app: "snack-misaki", stack: "snack-misaki/dev", generation: "1", settled: "true" });
  });

  it("is removed from the state by a refresh after somebody has deleted the endpoint at Stripe", async () => {
    const { client, endpoint, inputs } = fixture();
    const created = await createResource(endpoint, inputs);
    await client.webhookEndpoints.del(created.id);
    expect((await endpoint.read(created.id, created.outs)).id).toBe("");
    await expect(endpoint.update(created.id, created.outs, created.inputs)).rejects.toThrow(
      `Stripe webhook endpoint ${created.id} no longer exists. Run "pulumi refresh", then "pulumi up" to create it again.`,
    );
    await endpoint.delete(created.id, created.outs);
  });

  it("is not treated as missing when a live key is used for an endpoint in test mode", async () => {
    const { proxy, endpoint, inputs } = fixture();
    const { id, outs } = await createResource(endpoint, inputs);
    const message = `No such webhook endpoint: '${id}'; a similar object exists in test mode, but a live mode key was used to make this request.`;
    const body = { error: { type: "invalid_request_error", code: "resource_missing", message } };
    for (const operation of [READ, CHANGE, "DELETE /v1/webhook_endpoints/id"])
      proxy.fail(operation, { status: 404, body });
    await expect(endpoint.read(id, outs)).rejects.toThrow(message);
    await expect(endpoint.update(id, outs, outs)).rejects.toThrow(message);
    await expect(endpoint.delete(id, outs)).rejects.toThrow(message);
  });

  it("is created with stripe-node's API version and an idempotency key", async () => {
    const { proxy, endpoint, inputs } = fixture();
    await createResource(endpoint, inputs);
    expect(proxy.calls.map(({ headers }) => headers["stripe-version"])).toEqual(
      proxy.calls.map(() => Stripe.API_VERSION),
    );
    expect(proxy.calls[0]?.headers["idempotency-key"]).toMatch(/^webhook-endpoint-[\w-]{43}$/);
  });
});

describe("The inputs of an endpoint", () => {
  it("can contain all events that change a plan", async () => {
    const { endpoint, inputs } = fixture();
    expect((await endpoint.check({ ...inputs, enabledEvents: [...webhookEvents] })).failures).toEqual([]);
  });

  it("contain each event only once, even if the program lists an event twice", async () => {
    const { endpoint, inputs } = fixture();
    const checked = await endpoint.check({
      ...inputs,
      enabledEvents: ["invoice.paid", "charge.refunded", "invoice.paid"],
    });
    expect(checked.inputs.enabledEvents).toEqual(["invoice.paid", "charge.refunded"]);
  });

  it.each(["https://api.example.com/webhook/stripe", "http://localhost:4100/webhook/stripe", "http://127.0.0.1:4100/"])(
    "can contain the URL %s",
    async (url) => {
      const { endpoint, inputs } = fixture();
      expect((await endpoint.check({ ...inputs, url })).failures).toEqual([]);
    },
  );

  it.each([
    [{ url: "http://api.example.com/webhook" }, "url", /^must be an https URL \(http only on localhost\), got "http:/],
    [{ url: "webhook" }, "url", /got "webhook"/],
    [{ url: "http://localhost.example/" }, "url", /an https URL/],
    [{ url: undefined }, "url", "is required: an https URL (http only on localhost)"],
    [{ enabledEvents: ["*"] }, "enabledEvents.0", 'must be a type of event ("invoice.paid"), no wildcard, got "*"'],
    [{ enabledEvents: ["invoice.*"] }, "enabledEvents.0", /no wildcard/],
    [{ enabledEvents: ["invoice.paid", "Invoice paid"] }, "enabledEvents.1", /a type of event/],
    [{ enabledEvents: [] }, "enabledEvents", /at least one type of event/],
    [{ secretGeneration: 0 }, "secretGeneration", "must be a whole number, at least 1, got 0"],
    [{ secretGeneration: 1.5 }, "secretGeneration", /whole number/],
    [{ apiVersion: "latest" }, "apiVersion", /a version of Stripe's API \("2026-10-28.endive"\), got "latest"/],
    [{ description: "" }, "description", /1 to 500 characters/],
    [{ owner: undefined }, "owner", /<project>\/<stack>/],
  ])("are rejected when they contain %j", async (bad, property, reason) => {
    const { endpoint, inputs } = fixture();
    const { failures } = await endpoint.check(JSON.parse(JSON.stringify({ ...inputs, ...bad })));
    expect(failures).toEqual([
      { property, reason: typeof reason === "string" ? reason : expect.stringMatching(reason) },
    ]);
  });

  it("are checked even if another input is unknown", async () => {
    const { endpoint, inputs } = fixture();
    const { failures } = await endpoint.check({ ...inputs, url: UNKNOWN, secretGeneration: 0 });
    expect(failures.map(({ property }) => property)).toEqual(["secretGeneration"]);
  });
});

describe("An endpoint whose stripeWebhookKey the operator has removed", () => {
  it("stays at Stripe after a delete, which prints a warning with its id, and a refresh succeeds", async () => {
    const { program, registered, config, endpoint, inputs } = fixture();
    const { id, outs } = await createResource(endpoint, inputs);
    const { stripeWebhookKey: _, ...keyless } = config;
    const engine = await startEngine(program.folder, keyless);
    try {
      const resource = engine.resource(registered.endpoint.type);
      expect(await resource.read(id, outs)).toMatchObject({ id, outs });
      await resource.delete(id, outs);
      await expect
        .poll(() => engine.output())
        .toMatch(new RegExp(`The webhook endpoint ${id} stays enabled at Stripe.*Delete it in Stripe`));
    } finally {
      await engine.close();
    }
    expect(await atStripe()).toMatchObject([{ id, status: "enabled" }]);
  });
});
