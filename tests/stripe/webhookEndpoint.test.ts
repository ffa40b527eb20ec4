import { unknownValue as UNKNOWN } from "@pulumi/pulumi/runtime/rpc";
import Stripe from "stripe";
import { describe, expect, it } from "vitest";
import { webhookEvents } from "../../stripe/events";
import { make, stage } from "./stage";

const on = stage();

const SHOW = "GET /v1/webhook_endpoints/id";
const CHANGE = "POST /v1/webhook_endpoints/id";

/** What Stripe has, oldest first. */
async function atStripe() {
  const { data } = await on().client.webhookEndpoints.list({ limit: 100 });
  return data.reverse();
}

describe("a webhook endpoint", () => {
  it("is made with the stack's mark, the version of stripe-node, and its secret kept", async () => {
    const { stripe, endpoint, inputs } = on();
    const { id, outs } = await make(endpoint, inputs);
    const [made, ...others] = await atStripe();
    expect(others).toEqual([]);
    expect(made).toMatchObject({
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

  it("shows no change after a refresh, nor when the program lists its events in another order", async () => {
    const { endpoint, inputs } = on();
    const made = await make(endpoint, inputs);
    const read = await endpoint.read(made.id, made.outs);
    expect(read).toEqual({ id: made.id, outs: made.outs, inputs: made.inputs });
    const reordered = { ...made.inputs, enabledEvents: ["customer.subscription.updated", "invoice.paid"] };
    expect(await endpoint.diff(made.id, read.outs, reordered)).toEqual({ changes: false, replaces: [] });
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
  ])("changed by %j is replaced for %j, and never deleted first", async (change, replaces) => {
    const { endpoint, inputs } = on();
    const { id, outs } = await make(endpoint, inputs);
    const checked = await endpoint.check({ ...inputs, ...change });
    expect(checked.failures).toEqual([]);
    const diff = await endpoint.diff(id, outs, checked.inputs);
    expect({ ...diff, replaces: diff.replaces.sort() }).toEqual({ changes: true, replaces });
  });

  it("takes another URL, other events, description and owner in place, and keeps its secret", async () => {
    const { endpoint, inputs } = on();
    const { id, outs } = await make(endpoint, inputs);
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

  it("is replaced by one with another secret, and lives until it is deleted", async () => {
    const { stripe, endpoint, inputs } = on();
    const first = await make(endpoint, inputs);
    const second = await make(endpoint, { ...inputs, secretGeneration: 2 });
    expect(second.id).not.toBe(first.id);
    expect(second.outs.secret).not.toBe(first.outs.secret);
    expect(stripe.account.webhookEndpoints().map(({ id, secret, status }) => ({ id, secret, status }))).toEqual(
      expect.arrayContaining([first, second].map(({ id, outs }) => ({ id, secret: outs.secret, status: "enabled" }))),
    );
    await endpoint.delete(first.id, first.outs);
    expect((await atStripe()).map(({ id }) => id)).toEqual([second.id]);
  });

  it("that somebody has turned off is turned on by the next update", async () => {
    const { client, endpoint, inputs } = on();
    const made = await make(endpoint, inputs);
    await client.webhookEndpoints.update(made.id, { disabled: true });
    const read = await endpoint.read(made.id, made.outs);
    expect(read.outs).toEqual({ ...made.outs, status: "disabled" });
    expect(read.inputs).toEqual(made.inputs);
    expect(await endpoint.diff(made.id, read.outs, made.inputs)).toEqual({ changes: true, replaces: [] });
    const updated = await endpoint.update(made.id, read.outs, made.inputs);
    expect(updated).toEqual(made.outs);
    expect(await atStripe()).toMatchObject([{ status: "enabled" }]);
  });

  it.each([
    [{ url: "https://elsewhere.example/" }, { url: "https://elsewhere.example/" }],
    [{ enabled_events: ["invoice.paid" as const] }, { enabledEvents: ["invoice.paid"] }],
    [{ description: "" }, { description: "" }],
    [{ metadata: { stack: "snack-misaki/prod" } }, { owner: "" }],
    [{ metadata: { generation: "" } }, { owner: "" }],
  ])("changed in the dashboard, %j, shows it and is put right in place", async (edit, drift) => {
    const { client, endpoint, inputs } = on();
    const made = await make(endpoint, inputs);
    const before = await atStripe();
    await client.webhookEndpoints.update(made.id, edit);
    const read = await endpoint.read(made.id, made.outs);
    expect(read.outs).toEqual({ ...made.outs, ...drift });
    expect(read.inputs).toEqual({ ...made.inputs, ...drift });
    expect(await endpoint.diff(made.id, read.outs, made.inputs)).toEqual({ changes: true, replaces: [] });
    await endpoint.update(made.id, read.outs, made.inputs);
    expect(await atStripe()).toEqual(before);
  });

  it("is gone for Pulumi when it is gone from Stripe, and an update then says what to do", async () => {
    const { client, endpoint, inputs } = on();
    const made = await make(endpoint, inputs);
    await client.webhookEndpoints.del(made.id);
    expect((await endpoint.read(made.id, made.outs)).id).toBe("");
    await expect(endpoint.update(made.id, made.outs, made.inputs)).rejects.toThrow(
      `Webhook endpoint ${made.id} is gone from Stripe. Run "pulumi refresh", then "pulumi up" makes it again.`,
    );
    await endpoint.delete(made.id, made.outs);
  });

  it("of the mode that the key is not for is not taken for gone", async () => {
    const { proxy, endpoint, inputs } = on();
    const { id, outs } = await make(endpoint, inputs);
    const message = `No such webhook endpoint: '${id}'; a similar object exists in test mode, but a live mode key was used to make this request.`;
    const body = { error: { type: "invalid_request_error", code: "resource_missing", message } };
    for (const operation of [SHOW, CHANGE, "DELETE /v1/webhook_endpoints/id"])
      proxy.fail(operation, { status: 404, body });
    await expect(endpoint.read(id, outs)).rejects.toThrow(message);
    await expect(endpoint.update(id, outs, outs)).rejects.toThrow(message);
    await expect(endpoint.delete(id, outs)).rejects.toThrow(message);
  });

  it("is asked for with stripe-node's version and a key for each attempt to make one", async () => {
    const { proxy, endpoint, inputs } = on();
    await make(endpoint, inputs);
    expect(proxy.calls.map(({ headers }) => headers["stripe-version"])).toEqual(
      proxy.calls.map(() => Stripe.API_VERSION),
    );
    expect(proxy.calls[0]?.headers["idempotency-key"]).toMatch(/^webhook-endpoint-[\w-]{43}$/);
  });
});

describe("an endpoint's inputs", () => {
  it("may be all the events that change a plan", async () => {
    const { endpoint, inputs } = on();
    expect((await endpoint.check({ ...inputs, enabledEvents: [...webhookEvents] })).failures).toEqual([]);
  });

  it("name each event once", async () => {
    const { endpoint, inputs } = on();
    const checked = await endpoint.check({
      ...inputs,
      enabledEvents: ["invoice.paid", "charge.refunded", "invoice.paid"],
    });
    expect(checked.inputs.enabledEvents).toEqual(["invoice.paid", "charge.refunded"]);
  });

  it.each(["https://api.example.com/webhook/stripe", "http://localhost:4100/webhook/stripe", "http://127.0.0.1:4100/"])(
    "may name the URL %s",
    async (url) => {
      const { endpoint, inputs } = on();
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
  ])("are refused: %j", async (bad, property, reason) => {
    const { endpoint, inputs } = on();
    const { failures } = await endpoint.check(JSON.parse(JSON.stringify({ ...inputs, ...bad })));
    expect(failures).toEqual([
      { property, reason: typeof reason === "string" ? reason : expect.stringMatching(reason) },
    ]);
  });

  it("are still checked beside an unknown one", async () => {
    const { endpoint, inputs } = on();
    const { failures } = await endpoint.check({ ...inputs, url: UNKNOWN, secretGeneration: 0 });
    expect(failures.map(({ property }) => property)).toEqual(["secretGeneration"]);
  });
});
