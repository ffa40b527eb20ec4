import * as pulumi from "@pulumi/pulumi";
import { beforeAll, describe, expect, it } from "vitest";
import { byModel, models } from "../../contract/plan";
import { type Config, loadConfig } from "../../infra/config";
import { readStackConfig } from "../../local/support/stackConfig";

const mocks = {
  newResource: ({ inputs }: pulumi.runtime.MockResourceArgs) => ({ id: "", state: inputs }),
  call: () => ({}),
};
beforeAll(async () => {
  await pulumi.runtime.setMocks(mocks, "snack-misaki", "test");
});

/** Loads a stack's configuration file with overrides, like the program. */
function load(stack: string, overrides: Record<string, unknown> = {}): Config {
  const { values, secretKeys } = readStackConfig(process.cwd(), stack, overrides);
  pulumi.runtime.setAllConfig(values, secretKeys);
  return loadConfig();
}

/** Returns the text of the error, or "" when the configuration is valid. */
function problems(overrides: Record<string, unknown>): string {
  try {
    load("local", overrides);
  } catch (error) {
    if (error instanceof pulumi.RunError) return error.message;
    throw error;
  }
  return "";
}

describe("Stack configuration", () => {
  it("is complete in Pulumi.dev.yaml except for secrets", () => {
    expect(() => load("dev")).toThrow("runpodApiKey: is missing; set it with: pulumi config set --secret runpodApiKey");
    expect(load("dev", { runpodApiKey: "rpa_1" })).toMatchObject({ stack: "test", browserKeys: {} });
  });

  it("accepts an image tag that consists of digits", () => {
    expect(load("local", { "phi3.imageTag": "20261201" }).phi3.imageTag).toBe("20261201");
  });

  it("has default values for optional keys", () => {
    expect(load("local")).toMatchObject({
      ticketKeys: { signing: 1, accepted: [1] },
      throttle: { ratePerSecond: 50, burst: 100 },
      phi3: { imageTag: "local-1", workersMin: 0 },
      billing: {
        graceDays: 7,
        webhookSecretGeneration: 1,
        returnUrls: ["http://localhost:4100/", "http://localhost:5173/"],
      },
    });
  });

  it("is valid and has no plan for sale when it has no Stripe key", () => {
    const none = { stripeApiKey: undefined, stripeWebhookKey: undefined, billing: undefined };
    expect(load("local", none)).toMatchObject({
      billing: { prices: { paid: [], vip: [] } },
      stripe: { apiKey: undefined, registersWebhook: false, webhookSecret: undefined },
    });
  });

  const prebuilt = byModel((model) => ({ imageUri: `ghcr.io/snack/${model}:1` }));
  const ghcr = { kind: "token", host: "ghcr.io", username: "mama" };

  it("accepts the registry kinds token, delegation and public", async () => {
    const config = load("local", { ...prebuilt, registry: ghcr, registryToken: "ghp_canary", runpodApi: "rest" });
    expect(config.registry).toMatchObject({ ...ghcr, generation: 1 });
    if (config.registry.kind !== "token") throw new Error("Expected registry.kind token");
    expect(await pulumi.isSecret(config.registry.token)).toBe(true);
    const delegation = { kind: "delegation", ids: byModel((model) => `del_${model}`) };
    expect(load("local", { registry: delegation, runpodApi: "rest" }).registry).toEqual(delegation);
    expect(load("local", { ...prebuilt, registry: { kind: "public" } }).registry.kind).toBe("public");
  });

  it("accepts workersMin above 0, except in a dev stack", async () => {
    await pulumi.runtime.setMocks(mocks, "snack-misaki", "dev");
    expect(problems({ "phi3.workersMin": 1 })).toContain(
      "snack-misaki:phi3.workersMin: must be 0 in a dev stack, because such a worker always costs money, got 1",
    );
    await pulumi.runtime.setMocks(mocks, "snack-misaki", "test");
    expect(load("local", { "phi3.workersMin": 1 }).phi3.workersMin).toBe(1);
  });

  const faults: [string, Record<string, unknown>, string][] = [
    [
      "an image tag that does not name one build",
      { "phi3.imageTag": "latest" },
      'phi3.imageTag: must name one build, not latest, got "latest"',
    ],
    [
      "both imageTag and imageUri",
      { "phi3.imageUri": "ghcr.io/a/b:1" },
      "phi3.imageTag: exactly one of imageTag and imageUri must be set",
    ],
    ["an unknown GPU pool", { "mistral.gpuIds": ["RTX_9090"] }, "mistral.gpuIds.0: must be of AMPERE_16, AMPERE_24"],
    ["text instead of a number", { "phi3.workersMax": "many" }, 'phi3.workersMax: must be a number, got "many"'],
    ["a number above its limit", { "phi3.workersMax": 61 }, "phi3.workersMax: must be at most 60, got 61"],
    ["an unknown key", { phi: "x" }, "phi: is not a known key; known keys are frontend, auth"],
    ["a missing key", { auth: undefined }, "auth: is missing: must be an object"],
    ["an origin with a path", { "frontend.origins": ["https://a.example/x"] }, "frontend.origins.0: must be an origin"],
    ["an origin without a scheme", { "frontend.origins": ["a.example"] }, "frontend.origins.0: must be an https URL"],
    ["an empty list", { "frontend.origins": [] }, "frontend.origins: must have at least 1 entries, got []"],
    ["an http URL of a remote machine", { runpodApiUrl: "http://a.example" }, "runpodApiUrl: must be an https URL"],
    [
      "a path in stripeApiUrl",
      { stripeApiUrl: "https://stripe.example/v1" },
      'stripeApiUrl: must be an https URL without a path; http is allowed only on localhost, got "https://stripe.example/v1"',
    ],
    [
      "a duration with a unit",
      { runpodInUseLimitMs: "5 min" },
      'runpodInUseLimitMs: must be a whole number of milliseconds, at least 1, got "5 min"',
    ],
    [
      "a product id instead of a price id",
      { "billing.prices": { paid: ["prod_1"] } },
      "billing.prices.paid.0: must be the id of a price",
    ],
    ["prices of the free plan", { "billing.prices": { free: ["price_1"] } }, "billing.prices: must not have free"],
    ["a grace period of a year", { "billing.graceDays": 365 }, "billing.graceDays: must be at most 30, got 365"],
    [
      "an http return URL of a remote machine",
      { "billing.returnUrls": ["http://a.example/"] },
      "billing.returnUrls.0: must be an https URL",
    ],
    [
      "a signing key that is missing from the accepted keys",
      { "ticketKeys.signing": 3, "ticketKeys.accepted": [1] },
      "ticketKeys.accepted: must include the signing key, got [1]",
    ],
    [
      "an unknown kind of registry",
      { registry: { kind: "gar" } },
      'registry.kind: must have kind ecr, token, delegation or public, got "gar"',
    ],
    [
      "registry.kind token without the registry's host",
      { registry: { kind: "token", username: "mama" }, registryToken: "ghp_1" },
      "registry.host: must be a host such as ghcr.io",
    ],
    [
      "registry.kind delegation without a delegation for one model",
      { registry: { kind: "delegation", ids: { ...byModel((model) => `del_${model}`), mistral: undefined } } },
      "registry.ids.mistral: must be RunPod's id of the delegation for the model's repository",
    ],
    [
      "registry.kind public for images that the program pushes to a private registry",
      { registry: { kind: "public" } },
      'registry.kind: must be ecr or delegation, because phi3.imageTag is pushed to private ECR, got "public"',
    ],
    [
      "registry.kind token without the secret registryToken",
      { ...prebuilt, registry: ghcr },
      "registryToken: is missing; set it with: pulumi config set --secret registryToken",
    ],
    [
      "REST with an ECR token",
      { runpodApi: "rest" },
      'runpodApi: must be graphql with registry.kind ecr, got "rest". REST cannot renew credentials',
    ],
    ["an unknown value of runpodApi", { runpodApi: "soap" }, 'runpodApi: must be graphql or rest, got "soap"'],
    [
      "more workers than the account's quota",
      { runpodWorkerQuota: 3 },
      `runpodWorkerQuota: must be at least the sum of workersMax (${models.map((model) => `${model} 2`).join(", ")}), got 3`,
    ],
  ];
  it.each(faults)("is rejected when it has %s", (_name, overrides, expected) => {
    expect(problems(overrides)).toContain(`snack-misaki:${expected}`);
  });

  it("is rejected with one error that lists all invalid values", () => {
    const message = problems({ "phi3.imageTag": "latest", "guest.sessionsPerHour": 0, phi: "x" });
    expect(message.split("\n")).toHaveLength(4);
  });
});
