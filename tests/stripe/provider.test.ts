import { describe, expect, it } from "vitest";
import { startEngine } from "../runpod/engine";
import { make, stage } from "./stage";

const on = stage();

const LIST = "GET /v1/webhook_endpoints";
const MAKE = "POST /v1/webhook_endpoints";
const SHOW = "GET /v1/webhook_endpoints/id";
const CHANGE = "POST /v1/webhook_endpoints/id";
const DELETE = "DELETE /v1/webhook_endpoints/id";

/** Pulumi's mark of a secret on its way to the engine. */
const SECRET = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270" };

describe("the program", () => {
  it("registers the resources under their types, the secret marked as one", () => {
    const { endpoint, secrets } = on().registered;
    expect(endpoint.type).toBe("pulumi-nodejs:dynamic/stripe:WebhookEndpoint");
    expect(secrets.type).toBe("pulumi-nodejs:dynamic/stripe:WebhookSecrets");
    expect(endpoint.inputs.owner).toBe("snack-misaki/dev");
    expect(endpoint.inputs).not.toHaveProperty("secret");
    expect(secrets.inputs.secret).toEqual({ ...SECRET, value: "whsec_CANARY" });
  });

  it("keeps only forwarding methods in the state", () => {
    const { endpoint, secrets } = on().registered;
    for (const { __provider } of [endpoint.inputs, secrets.inputs]) {
      expect([...String(__provider).matchAll(/require\((.*?)\)/g)].map(([, path]) => path)).toEqual([
        '"./.build/stripe/provider.cjs"',
      ]);
      expect(String(__provider).length).toBeLessThan(3_000);
    }
  });
});

describe("editing the provider's code", () => {
  it("changes nothing on an existing endpoint, and today's code deletes it", async () => {
    const { program, config, registered, stripe, endpoint, inputs } = on();
    const made = await make(endpoint, inputs);
    await program.edit('console.error("edited provider");');
    const engine = await startEngine(program.folder, config);
    try {
      const resource = engine.resource(registered.endpoint.type);
      expect((await resource.diff(made.id, made.outs, made.inputs)).changes).toBe(false);
      await resource.delete(made.id, made.outs);
      expect(stripe.account.webhookEndpoints()).toEqual([]);
      expect(engine.output()).toContain("edited provider");
    } finally {
      await engine.close();
    }
  });
});

describe("the API key", () => {
  it("and the signing secret are in no message, whatever Stripe quotes, and not in the log", async () => {
    const { proxy, config, engine, endpoint, inputs } = on();
    const { id, outs } = await make(endpoint, inputs);
    const message = `No, ${config.stripeWebhookKey}, not with ${outs.secret}; use sk_live_abc***xyz.`;
    const refusal = { status: 400, body: { error: { type: "invalid_request_error", message } } };
    for (const operation of [MAKE, SHOW, CHANGE, DELETE]) proxy.fail(operation, refusal);
    const said = "HTTP 400, No, ***, not with ***; use ***.";
    await expect(make(endpoint, { ...inputs, secretGeneration: 2 })).rejects.toThrow(said);
    await expect(endpoint.read(id, outs)).rejects.toThrow(said);
    await expect(endpoint.update(id, outs, outs)).rejects.toThrow(said);
    await expect(endpoint.delete(id, outs)).rejects.toThrow(said);
    expect(JSON.stringify(outs)).not.toContain(config.stripeWebhookKey);
    for (const secret of [config.stripeWebhookKey, outs.secret]) expect(engine.output()).not.toContain(secret);
  });

  it("that Stripe does not know is an error, never an account without the endpoint", async () => {
    const { program, config, registered, endpoint, inputs } = on();
    const { id, outs } = await make(endpoint, inputs);
    const engine = await startEngine(program.folder, { ...config, stripeWebhookKey: "rk_test_WRONG" });
    try {
      const resource = engine.resource(registered.endpoint.type);
      const refused = "the key in stripeWebhookKey is not valid";
      await expect(resource.read(id, outs)).rejects.toThrow(refused);
      await expect(resource.delete(id, outs)).rejects.toThrow(refused);
      await expect(make(resource, inputs)).rejects.toThrow(refused);
      expect(engine.output()).not.toContain("WRONG");
    } finally {
      await engine.close();
    }
  });

  it("is needed for an endpoint and not for the secrets", async () => {
    const { program, registered } = on();
    const engine = await startEngine(program.folder, {});
    try {
      const { endpoint, secrets } = registered;
      await expect(make(engine.resource(endpoint.type), endpoint.inputs)).rejects.toThrow(
        "stripeWebhookKey: is missing; set it with: pulumi config set --secret stripeWebhookKey",
      );
      await make(engine.resource(secrets.type), { ...secrets.inputs, secret: "whsec_1" });
    } finally {
      await engine.close();
    }
  });
});

describe("an answer that is not Stripe's", () => {
  const NOT_STRIPE = "What answers at stripeApiUrl is not Stripe";

  it.each([
    ["an empty object", { status: 404, body: {} }],
    ["a proxy's word", { status: 403, body: { message: "Forbidden" } }],
    ["another object", { status: 200, body: { id: "cus_1", object: "customer" } }],
  ])("is no endpoint, no deletion and no list: %s", async (_, fault) => {
    const { proxy, stripe, endpoint, inputs } = on();
    const { id, outs } = await make(endpoint, inputs);
    for (const operation of [SHOW, CHANGE, DELETE, MAKE]) proxy.fail(operation, fault);
    await expect(endpoint.read(id, outs)).rejects.toThrow(NOT_STRIPE);
    await expect(endpoint.update(id, outs, outs)).rejects.toThrow(NOT_STRIPE);
    await expect(endpoint.delete(id, outs)).rejects.toThrow(NOT_STRIPE);
    await expect(make(endpoint, { ...inputs, secretGeneration: 2 })).rejects.toThrow(NOT_STRIPE);
    expect(stripe.account.webhookEndpoints()).toHaveLength(1);
    proxy.fail(LIST, fault);
    await expect(make(endpoint, { ...inputs, secretGeneration: 2 })).rejects.toThrow(NOT_STRIPE);
  });

  it("about an address that Stripe does not have is not taken for a missing endpoint", async () => {
    const { proxy, endpoint, inputs } = on();
    const { id, outs } = await make(endpoint, inputs);
    const message = "Unrecognized request URL (GET: /v1/webhook_endpoints).";
    proxy.fail(SHOW, { status: 404, body: { error: { type: "invalid_request_error", message } } });
    await expect(endpoint.read(id, outs)).rejects.toThrow(message);
  });

  it("without a secret makes no endpoint that could not be used", async () => {
    const { proxy, endpoint, inputs } = on();
    const body = {
      id: "we_1",
      object: "webhook_endpoint",
      url: inputs.url,
      enabled_events: inputs.enabledEvents,
      description: null,
      api_version: null,
      status: "enabled",
      metadata: {},
    };
    proxy.fail(MAKE, { status: 200, body });
    await expect(make(endpoint, inputs)).rejects.toThrow(
      "Stripe made the webhook endpoint we_1 without telling its secret.",
    );
  });
});
