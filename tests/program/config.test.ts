import * as pulumi from "@pulumi/pulumi";
import { beforeAll, describe, expect, it } from "vitest";
import { type Config, loadConfig } from "../../infra/config";
import { readStackConfig } from "../../local/support/stackConfig";

const mocks = {
  newResource: ({ inputs }: pulumi.runtime.MockResourceArgs) => ({ id: "", state: inputs }),
  call: () => ({}),
};
beforeAll(async () => {
  await pulumi.runtime.setMocks(mocks, "snack-misaki", "test");
});

/** Loads a stack's file with overrides, as the program does. */
function load(stack: string, overrides: Record<string, unknown> = {}): Config {
  const { values, secretKeys } = readStackConfig(process.cwd(), stack, overrides);
  pulumi.runtime.setAllConfig(values, secretKeys);
  return loadConfig();
}

function problems(overrides: Record<string, unknown>): string {
  try {
    load("local", overrides);
  } catch (error) {
    if (error instanceof pulumi.RunError) return error.message;
    throw error;
  }
  return "";
}

describe("the stack configuration", () => {
  it("of the example is complete but for the secrets", () => {
    expect(() => load("dev")).toThrow("runpodApiKey: is missing; set it with: pulumi config set --secret runpodApiKey");
    expect(load("dev", { runpodApiKey: "rpa_1" })).toMatchObject({ stack: "test", browserKeys: {} });
  });

  it("takes a tag of digits, which Pulumi keeps as a number", () => {
    expect(load("local", { "phi3.imageTag": "20261201" }).phi3.imageTag).toBe("20261201");
  });

  it("fills in what may be left out", () => {
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

  it("sells nothing without Stripe's keys, and needs none of them", () => {
    const none = { stripeApiKey: undefined, stripeWebhookKey: undefined, billing: undefined };
    expect(load("local", none)).toMatchObject({
      billing: { prices: { paid: [], vip: [] } },
      stripe: { apiKey: undefined, registersWebhook: false, webhookSecret: undefined },
    });
  });

  const ready = {
    phi3: { imageUri: "ghcr.io/snack/phi3:1" },
    mistral: { imageUri: "ghcr.io/snack/mistral:1" },
  };
  const ghcr = { kind: "token", host: "ghcr.io", username: "mama" };

  it("takes a registry's token as a secret, delegations, and REST where nothing needs GraphQL", async () => {
    const config = load("local", { ...ready, registry: ghcr, registryToken: "ghp_canary", runpodApi: "rest" });
    expect(config.registry).toMatchObject({ ...ghcr, generation: 1 });
    if (config.registry.kind !== "token") throw new Error("not a token");
    expect(await pulumi.isSecret(config.registry.token)).toBe(true);
    const delegation = { kind: "delegation", ids: { phi3: "del_1", mistral: "del_2" } };
    expect(load("local", { registry: delegation, runpodApi: "rest" }).registry).toEqual(delegation);
    expect(load("local", { ...ready, registry: { kind: "public" } }).registry.kind).toBe("public");
  });

  it("keeps no workers running in a dev stack", async () => {
    await pulumi.runtime.setMocks(mocks, "snack-misaki", "dev");
    expect(problems({ "phi3.workersMin": 1 })).toContain(
      "snack-misaki:phi3.workersMin: must be 0 in a dev stack: it is paid for day and night, got 1",
    );
    await pulumi.runtime.setMocks(mocks, "snack-misaki", "test");
    expect(load("local", { "phi3.workersMin": 1 }).phi3.workersMin).toBe(1);
  });

  const faults: [string, Record<string, unknown>, string][] = [
    ["a moving tag", { "phi3.imageTag": "latest" }, 'phi3.imageTag: must name one build, not latest, got "latest"'],
    [
      "both kinds of image",
      { "phi3.imageUri": "ghcr.io/a/b:1" },
      "phi3.imageTag: must be given, or imageUri, not both",
    ],
    ["an unknown pool", { "mistral.gpuIds": ["RTX_9090"] }, "mistral.gpuIds.0: must be of AMPERE_16, AMPERE_24"],
    [
      "a number that is none",
      { "phi3.workersMax": "many" },
      'phi3.workersMax: Invalid input: expected number, received string, got "many"',
    ],
    ["a key that is not one", { phi: "x" }, "phi: is not a key; known are frontend, auth"],
    ["an origin with a path", { "frontend.origins": ["https://a.example/x"] }, "frontend.origins.0: must be an origin"],
    ["no URL at all", { "frontend.origins": ["a.example"] }, "frontend.origins.0: must be an https URL"],
    ["http beyond this machine", { runpodApiUrl: "http://a.example" }, "runpodApiUrl: must be an https URL"],
    [
      "a product in place of a price",
      { "billing.prices": { paid: ["prod_1"] } },
      "billing.prices.paid.0: must be the id of a price",
    ],
    ["a plan that is not sold", { "billing.prices": { free: ["price_1"] } }, "billing.prices: Unrecognized key"],
    ["endless grace", { "billing.graceDays": 365 }, "billing.graceDays: Too big"],
    [
      "a way back beyond this machine by http",
      { "billing.returnUrls": ["http://a.example/"] },
      "billing.returnUrls.0: must be an https URL",
    ],
    [
      "a signing key nobody accepts",
      { "ticketKeys.signing": 3, "ticketKeys.accepted": [1] },
      "ticketKeys.accepted: must include the signing key, got [1]",
    ],
    [
      "a kind of registry there is none of",
      { registry: { kind: "gar" } },
      'registry.kind: must have kind ecr, token, delegation or public, got "gar"',
    ],
    [
      "a registry's token without its registry",
      { registry: { kind: "token", username: "mama" }, registryToken: "ghp_1" },
      "registry.host: must be a host such as ghcr.io",
    ],
    [
      "a repository without its delegation",
      { registry: { kind: "delegation", ids: { phi3: "del_1" } } },
      "registry.ids.mistral: must be RunPod's id of the delegation for the model's repository",
    ],
    [
      "public images that the program builds into a private registry",
      { registry: { kind: "public" } },
      'registry.kind: must be ecr or delegation while phi3.imageTag has the program build into private ECR, got "public"',
    ],
    [
      "a token that is not there",
      { ...ready, registry: ghcr },
      "registryToken: is missing; set it with: pulumi config set --secret registryToken",
    ],
    [
      "ECR through REST, which cannot renew its token",
      { runpodApi: "rest" },
      'runpodApi: must be graphql with registry.kind "ecr": REST cannot renew credentials',
    ],
    ["an API there is none of", { runpodApi: "soap" }, 'runpodApi: must be graphql or rest, got "soap"'],
    [
      "more workers than the account may have",
      { runpodWorkerQuota: 3 },
      "runpodWorkerQuota: is less than the workersMax of this stack (phi3 2, mistral 2), got 3",
    ],
  ];
  it.each(faults)("refuses %s by key, what is allowed and what it is", (_name, overrides, expected) => {
    expect(problems(overrides)).toContain(`snack-misaki:${expected}`);
  });

  it("is refused for all its faults at once", () => {
    const message = problems({ "phi3.imageTag": "latest", "guest.sessionsPerHour": 0, phi: "x" });
    expect(message.split("\n")).toHaveLength(4);
  });
});
