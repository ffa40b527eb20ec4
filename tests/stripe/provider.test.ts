import { describe, expect, it } from "vitest";
import { startEngine } from "../runpod/engine";
import { createResource, stripeFixture } from "./fixture";

const fixture = stripeFixture();

const LIST = "GET /v1/webhook_endpoints";
const CREATE = "POST /v1/webhook_endpoints";
const READ = "GET /v1/webhook_endpoints/id";
const CHANGE = "POST /v1/webhook_endpoints/id";
const DELETE = "DELETE /v1/webhook_endpoints/id";

/** Fields with which Pulumi marks a secret that it sends to the engine. */
const SECRET = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270" };

describe("The program", () => {
  it("registers each resource with its type, and marks the webhook secret as a secret", () => {
    const { endpoint, secrets } = fixture().registered;
    expect(endpoint.type).toBe("pulumi-nodejs:dynamic/stripe:WebhookEndpoint");
    expect(secrets.type).toBe("pulumi-nodejs:dynamic/stripe:WebhookSecrets");
    expect(endpoint.inputs.owner).toBe("snack-misaki/dev");
    expect(endpoint.inputs).not.toHaveProperty("secret");
    expect(secrets.inputs.secret).toEqual({ ...SECRET, value: "whsec_CANARY" });
  });

  it("stores in the state only methods that call the provider's bundle", () => {
    const { endpoint, secrets } = fixture().registered;
    for (const { __provider } of [endpoint.inputs, secrets.inputs]) {
      expect([...String(__provider).matchAll(/require\((.*?)\)/g)].map(([, path]) => path)).toEqual([
        '"./.build/stripe/provider.cjs"',
      ]);
      expect(String(__provider).length).toBeLessThan(3_000);
    }
  });
});

describe("An edit of the provider's code", () => {
  it("causes no diff, and a delete of an existing endpoint runs the edited code", async () => {
    const { program, config, registered, stripe, endpoint, inputs } = fixture();
    const created = await createResource(endpoint, inputs);
    await program.edit('console.error("edited provider");');
    const engine = await startEngine(program.folder, config);
    try {
      const resource = engine.resource(registered.endpoint.type);
      expect((await resource.diff(created.id, created.outs, created.inputs)).changes).toBe(false);
      await resource.delete(created.id, created.outs);
      expect(stripe.account.webhookEndpoints()).toEqual([]);
      await expect.poll(() => engine.output()).toContain("edited provider");
    } finally {
      await engine.close();
    }
  });
});

describe("The API key", () => {
  it("does not appear in an error or log, even if Stripe's message quotes the key", async () => {
    const { proxy, config, engine, endpoint, inputs } = fixture();
    const { id, outs } = await createResource(endpoint, inputs);
    const message = `No, ${config.stripeWebhookKey}, not with ${outs.secret}; use sk_live_abc***xyz.`;
    const refusal = { status: 400, body: { error: { type: "invalid_request_error", message } } };
    for (const operation of [CREATE, READ, CHANGE, DELETE]) proxy.fail(operation, refusal);
    const expected = "HTTP 400, No, ***, not with ***; use ***.";
    await expect(createResource(endpoint, { ...inputs, secretGeneration: 2 })).rejects.toThrow(expected);
    await expect(endpoint.read(id, outs)).rejects.toThrow(expected);
    await expect(endpoint.update(id, outs, outs)).rejects.toThrow(expected);
    await expect(endpoint.delete(id, outs)).rejects.toThrow(expected);
    expect(JSON.stringify(outs)).not.toContain(config.stripeWebhookKey);
    for (const secret of [config.stripeWebhookKey, outs.secret]) expect(engine.output()).not.toContain(secret);
  });

  it("makes every call throw when Stripe does not know the key", async () => {
    const { program, config, registered, endpoint, inputs } = fixture();
    const { id, outs } = await createResource(endpoint, inputs);
    const engine = await startEngine(program.folder, { ...config, stripeWebhookKey: "rk_test_WRONG" });
    try {
      const resource = engine.resource(registered.endpoint.type);
      const refused = "the key in stripeWebhookKey is not valid";
      await expect(resource.read(id, outs)).rejects.toThrow(refused);
      await expect(resource.delete(id, outs)).rejects.toThrow(refused);
      await expect(createResource(resource, inputs)).rejects.toThrow(refused);
      expect(engine.output()).not.toContain("WRONG");
    } finally {
      await engine.close();
    }
  });

  it("is required to create an endpoint, but not to store the webhook secrets", async () => {
    const { program, registered } = fixture();
    const engine = await startEngine(program.folder, {});
    try {
      const { endpoint, secrets } = registered;
      await expect(createResource(engine.resource(endpoint.type), endpoint.inputs)).rejects.toThrow(
        "stripeWebhookKey: is missing; set it with: pulumi config set --secret stripeWebhookKey",
      );
      await createResource(engine.resource(secrets.type), { ...secrets.inputs, secret: "whsec_1" });
    } finally {
      await engine.close();
    }
  });
});

describe("An unexpected response", () => {
  const UNEXPECTED = "Unexpected response from stripeApiUrl: not a webhook_endpoint";

  it.each([
    ["an empty object", { status: 404, body: {} }],
    ["a proxy's error", { status: 403, body: { message: "Forbidden" } }],
    ["another object", { status: 200, body: { id: "cus_1", object: "customer" } }],
  ])("makes every call fail when it is %s", async (_case, fault) => {
    const { proxy, stripe, endpoint, inputs } = fixture();
    const { id, outs } = await createResource(endpoint, inputs);
    for (const operation of [READ, CHANGE, DELETE, CREATE]) proxy.fail(operation, fault);
    await expect(endpoint.read(id, outs)).rejects.toThrow(UNEXPECTED);
    await expect(endpoint.update(id, outs, outs)).rejects.toThrow(UNEXPECTED);
    await expect(endpoint.delete(id, outs)).rejects.toThrow(UNEXPECTED);
    await expect(createResource(endpoint, { ...inputs, secretGeneration: 2 })).rejects.toThrow(UNEXPECTED);
    expect(stripe.account.webhookEndpoints()).toHaveLength(1);
    proxy.fail(LIST, fault);
    await expect(createResource(endpoint, { ...inputs, secretGeneration: 2 })).rejects.toThrow(UNEXPECTED);
  });

  it("makes a read fail when it is a 404 for an unknown URL, not for a missing endpoint", async () => {
    const { proxy, endpoint, inputs } = fixture();
    const { id, outs } = await createResource(endpoint, inputs);
    const message = "Unrecognized request URL (GET: /v1/webhook_endpoints).";
    proxy.fail(READ, { status: 404, body: { error: { type: "invalid_request_error", message } } });
    await expect(endpoint.read(id, outs)).rejects.toThrow(message);
  });

  it("makes a create fail when the response contains no secret", async () => {
    const { proxy, endpoint, inputs } = fixture();
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
    proxy.fail(CREATE, { status: 200, body });
    await expect(createResource(endpoint, inputs)).rejects.toThrow(
      "Stripe created the webhook endpoint we_1 but returned no secret.",
    );
  });
});
