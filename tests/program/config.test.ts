import * as pulumi from "@pulumi/pulumi";
import { beforeAll, describe, expect, it } from "vitest";
import { byModel, models } from "../../contract/plan";
import { type Config, loadConfig } from "../../infra/config";
import { secretKeys } from "../../infra/configSchema";
import { readStackConfig } from "../../local/support/stackConfig";
import { configKey } from "../../names";

const mocks = {
  newResource: ({ inputs }: pulumi.runtime.MockResourceArgs) => ({ id: "", state: inputs }),
  call: () => ({}),
};
beforeAll(async () => {
  await pulumi.runtime.setMocks(mocks, "snack-misaki", "test");
});

/** Loads a stack's configuration file with overrides, like the program. */
function load(stack: string, overrides: Record<string, unknown> = {}): Config {
  const { values, secretKeys } = readStackConfig(process.cwd(), stack, {
    "aws:defaultTags.tags.stack": pulumi.getStack(),
    ...overrides,
  });
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

/** The values of Pulumi.local.yaml. */
function readPlainConfig(): Record<string, string> {
  return readStackConfig(process.cwd(), "local").values;
}

/** Removes the keys of the external LLMs in Pulumi.local.yaml. */
const noKeys = { anthropicApiKey: undefined, openaiApiKey: undefined, huggingfaceToken: undefined };
/** Settings of an external LLM. */
const llm = { model: "model-1", usdPerMillionTokens: { input: 2, cachedInput: 0.2, output: 10 } };
const sesIdentity = "arn:aws:ses:ap-northeast-1:000000000000:identity/snack-misaki.example";

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
        returnUrls: ["http://localhost:4100/", "http://localhost:5173/", "http://localhost:4173/"],
      },
      relay: { concurrency: 50 },
    });
    const { relay, vip } = load("local", { relay: undefined, vip: undefined });
    expect(vip).toEqual({ providers: [], dailyUsd: 20 });
    expect(relay.limits).toEqual({
      free: { chatsPerMinute: 10, tokensPerDay: 100_000 },
      paid: { chatsPerMinute: 20, tokensPerDay: 500_000 },
      vip: { chatsPerMinute: 20, tokensPerDay: 500_000 },
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

  it("accepts external LLMs with their settings and secret keys", async () => {
    const config = load("local", {
      vip: { providers: ["bedrock", "anthropic"], anthropic: llm, bedrock: { ...llm, model: "jp.vendor.model-v1:0" } },
      ...noKeys,
      anthropicApiKey: "sk-ant-canary",
    });
    expect(config.vip).toMatchObject({ providers: ["bedrock", "anthropic"], anthropic: llm });
    const { anthropic, ...others } = config.providerKeys;
    expect(others).toEqual({});
    expect(await pulumi.isSecret(anthropic ?? pulumi.output(""))).toBe(true);
  });

  it.each([
    "us.vendor.model",
    "eu.vendor.model",
    "apac.vendor.model",
    "jp.vendor.model-1:0",
    "au.vendor.model",
    "global.vendor.model",
    "arn:aws:bedrock:ap-northeast-1:123456789012:inference-profile/jp.vendor.model",
  ])("accepts the inference profile %s", (model) => {
    const vip = { providers: ["bedrock"], bedrock: { ...llm, model } };
    expect(load("local", { vip }).vip.bedrock?.model).toBe(model);
  });

  it("accepts a relay without reserved concurrency", () => {
    expect(load("local", { "relay.concurrency": -1 }).relay.concurrency).toBe(-1);
  });

  const candidateInEcr = {
    "phi3.imageTag": undefined,
    "phi3.imageUri": "ghcr.io/a/b:1",
    "phi3.candidate": { imageUri: "123456789012.dkr.ecr.eu-central-1.amazonaws.com/a:2" },
  };
  it.each([
    [
      { "phi3.candidate": { imageTag: "local-1" } },
      'phi3.candidate.imageTag: must differ from phi3.imageTag, got "local-1"',
    ],
    [
      { "phi3.candidate": { imageUri: "ghcr.io/a/b:2" } },
      "phi3.candidate: must have imageTag or pushedTag, because phi3.imageTag is set",
    ],
    [
      { "phi3.imageTag": undefined, "phi3.pushedTag": "v1", "phi3.candidate": { imageUri: "ghcr.io/a/b:2" } },
      "phi3.candidate: must have imageTag or pushedTag, because phi3.pushedTag is set",
    ],
    [
      { "phi3.imageTag": undefined, "phi3.pushedTag": "v1", "phi3.candidate": { imageTag: "v1" } },
      'phi3.candidate.imageTag: must differ from phi3.pushedTag, got "v1"',
    ],
    [
      { "phi3.imageTag": undefined, "phi3.imageUri": "ghcr.io/a/b:1", "phi3.candidate": { pushedTag: "v2" } },
      "phi3.candidate: must have imageUri, because phi3.imageUri is set",
    ],
    [
      { ...candidateInEcr, "registry.kind": "public" },
      'registry.kind: must be ecr or delegation, because phi3.candidate.imageUri is in private ECR, got "public"',
    ],
    [
      { ...candidateInEcr, "registry.kind": "delegation", "registry.ids": { mistral: "d1" } },
      "registry.ids.phi3: must be RunPod's id of the delegation for the model's repository",
    ],
    [
      { "phi3.candidate": { imageTag: "local-2" }, "phi3.weights": "cached" },
      'phi3.weights: must be baked while phi3.candidate is set, got "cached"',
    ],
    [
      { "phi3.candidate": { share: 5 } },
      "phi3.candidate.imageTag: exactly one of imageTag, pushedTag and imageUri must be set",
    ],
    [{ "phi3.candidate": { imageTag: "local-2", share: 101 } }, "phi3.candidate.share: "],
    [
      { "phi3.candidate": { imageTag: "local-2", testers: ["a b"] } },
      "phi3.candidate.testers.0: must be the user id (sub) of a customer",
    ],
  ])("rejects the candidate %j", (change, problem) => {
    expect(problems(change)).toContain(`snack-misaki:${problem}`);
  });

  it("gives a candidate the model's workersMax and no customers by default", () => {
    const change = { "phi3.workersMax": 5, "phi3.candidate": { imageTag: "local-2" } };
    expect(load("local", change).phi3.candidate).toEqual({
      imageTag: "local-2",
      share: 0,
      testers: [],
      workersMax: 5,
    });
  });

  it("accepts workersMin above 0, except in a dev stack", async () => {
    for (const stack of ["dev", "dev-2", "dev_2"]) {
      await pulumi.runtime.setMocks(mocks, "snack-misaki", stack);
      expect(problems({ "phi3.workersMin": 1 })).toContain(
        "snack-misaki:phi3.workersMin: must be 0 in a dev stack, because such a worker always costs money, got 1",
      );
    }
    await pulumi.runtime.setMocks(mocks, "snack-misaki", "test");
    expect(load("local", { "phi3.workersMin": 1 }).phi3.workersMin).toBe(1);
  });

  const anthropic = { providers: ["anthropic"], anthropic: llm };
  const faults: [string, Record<string, unknown>, string][] = [
    [
      "an image tag that does not name one build",
      { "phi3.imageTag": "latest" },
      'phi3.imageTag: must name one build, not latest, got "latest"',
    ],
    [
      "a host name without a dot",
      { domains: { zone: "Z1", api: "api" } },
      'domains.api: must be a lower-case host name with a dot, such as api.example.com, got "api"',
    ],
    [
      "a zone that is not an id",
      { domains: { zone: "example.com", api: "api.example.com" } },
      'domains.zone: must be the id of a public hosted zone, Z…, got "example.com"',
    ],
    ["no host name", { domains: { zone: "Z1" } }, "domains: must have at least one of api, signIn and relay"],
    [
      "one host name twice",
      { domains: { zone: "Z1", api: "a.example.com", relay: "a.example.com" } },
      "domains: must name each host once",
    ],
    [
      "both imageTag and imageUri",
      { "phi3.imageUri": "ghcr.io/a/b:1" },
      "phi3.imageTag: exactly one of imageTag, pushedTag and imageUri must be set",
    ],
    [
      "an unknown GPU pool",
      { "mistral.gpuIds": ["RTX_9090"] },
      "mistral.gpuIds.0: must be one of AMPERE_16, AMPERE_24",
    ],
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
      'registry.kind: must be ecr or delegation, because phi3.imageTag is in private ECR, got "public"',
    ],
    [
      "registry.kind token without the secret registryToken",
      { ...prebuilt, registry: ghcr },
      "registryToken: is missing; set it with: pulumi config set --secret registryToken",
    ],
    ["an unknown value of runpodApi", { runpodApi: "soap" }, 'runpodApi: must be auto or graphql or rest, got "soap"'],
    [
      "an unknown external LLM",
      { vip: { providers: ["gemini"] } },
      'vip.providers.0: must be anthropic or openai or bedrock or huggingface, got "gemini"',
    ],
    [
      "the same external LLM twice",
      { vip: { ...anthropic, providers: ["anthropic", "anthropic"] }, anthropicApiKey: "sk" },
      'vip.providers: must name each provider once, got ["anthropic","anthropic"]',
    ],
    [
      "an external LLM without its settings",
      { vip: { providers: ["openai"] }, openaiApiKey: "sk" },
      "vip.openai: is missing, but vip.providers lists openai: set its model",
    ],
    [
      "an external LLM without a model",
      { vip: { ...anthropic, anthropic: { ...llm, model: undefined } }, anthropicApiKey: "sk" },
      "vip.anthropic.model: must be the model's name at the provider",
    ],
    [
      "an external LLM without prices",
      { vip: { ...anthropic, anthropic: { ...llm, usdPerMillionTokens: undefined } }, anthropicApiKey: "sk" },
      "vip.anthropic.usdPerMillionTokens: must be { input, cachedInput, output }, because vip.dailyUsd counts the costs",
    ],
    [
      "an external LLM with a negative price",
      {
        vip: { ...anthropic, anthropic: { ...llm, usdPerMillionTokens: { input: -1, cachedInput: 0, output: 0 } } },
        anthropicApiKey: "sk",
      },
      "vip.anthropic.usdPerMillionTokens.input: must be at least 0, got -1",
    ],
    [
      "an external LLM without its key",
      { vip: anthropic, ...noKeys },
      "anthropicApiKey: is missing; set it with: pulumi config set --secret anthropicApiKey",
    ],
    [
      "HuggingFace without its token",
      { vip: { providers: ["huggingface"], huggingface: llm }, ...noKeys },
      "huggingfaceToken: is missing; set it with: pulumi config set --secret huggingfaceToken",
    ],
    [
      "the bare id of a foundation model of Bedrock",
      { vip: { providers: ["bedrock"], bedrock: { ...llm, model: "anthropic.claude-canary-v1:0" } } },
      "vip.bedrock.model: must start with us. eu. apac. jp. au. global.: name an inference profile, not a foundation model, " +
        'got "anthropic.claude-canary-v1:0"',
    ],
    [
      "an http URL of a remote external LLM",
      { vip: { ...anthropic, anthropic: { ...llm, baseUrl: "http://a.example" } }, anthropicApiKey: "sk" },
      "vip.anthropic.baseUrl: must be an https URL",
    ],
    ["a daily spend of 0", { "vip.dailyUsd": 0 }, "vip.dailyUsd: must be more than 0, got 0"],
    [
      "no concurrency",
      { "relay.concurrency": 0 },
      "relay.concurrency: must be a whole number of at least 1, or -1 to reserve nothing, got 0",
    ],
    [
      "a limit of 0 tokens",
      { "relay.limits": { free: { tokensPerDay: 0 } } },
      "relay.limits.free.tokensPerDay: must be more than 0, got 0",
    ],
    [
      "an e-mail identity that is not an ARN",
      { "auth.email": { identityArn: "snack-misaki.example", from: "mama@snack-misaki.example" } },
      "auth.email.identityArn: must be the ARN of an SES identity, arn:aws:ses:…:identity/<domain or address>, got ",
    ],
    [
      "an e-mail sender without an address",
      { "auth.email": { identityArn: sesIdentity, from: "Mama" } },
      'auth.email.from: must be an e-mail address, or an ASCII name and <address>, got "Mama"',
    ],
    [
      "an e-mail sender outside the identity",
      { "auth.email": { identityArn: sesIdentity, from: "mama@evil-snack-misaki.example" } },
      "auth.email.from: must be an address of the identity",
    ],
    [
      "more workers than the account's quota",
      { runpodWorkerQuota: 3 },
      `runpodWorkerQuota: must be at least the sum of workersMax (${models.map((model) => `${model} 2`).join(", ")}), got 3`,
    ],
  ];
  it.each(faults)("is rejected when it has %s", (_name, overrides, expected) => {
    expect(problems(overrides)).toContain(`snack-misaki:${expected}`);
  });

  it.each([
    [sesIdentity, "mama@snack-misaki.example"],
    [sesIdentity, "Mama <Mama@mail.Snack-Misaki.example>"],
    [`${sesIdentity.split("/")[0]}/mama@snack-misaki.example`, "mama@snack-misaki.example"],
  ])("may have the e-mail identity %s with the sender %s", (identityArn, from) => {
    expect(load("local", { "auth.email": { identityArn, from } }).auth.email).toEqual({ identityArn, from });
  });

  it("is rejected with one error that lists all invalid values", () => {
    const message = problems({ "phi3.imageTag": "latest", "guest.sessionsPerHour": 0, phi: "x" });
    expect(message.split("\n")).toHaveLength(4);
  });
});

describe("A secret of the stack configuration", () => {
  const real = { "aws:allowedAccountIds": undefined };

  /** Loads the configuration as Pulumi passes it when `secretKeys` were set with `--secret`. */
  function problemsWith(overrides: Record<string, unknown>, secretKeys: string[]): string {
    const tags = { "aws:defaultTags.tags.stack": pulumi.getStack() };
    const { values } = readStackConfig(process.cwd(), "local", { ...tags, ...overrides });
    pulumi.runtime.setAllConfig(values, secretKeys.map(configKey));
    try {
      loadConfig();
    } catch (error) {
      if (error instanceof pulumi.RunError) return error.message;
      throw error;
    }
    return "";
  }
  const configured = Object.keys(secretKeys).filter((key) => readPlainConfig()[configKey(key)] !== undefined);

  it.each(configured)("is refused when it was set without --secret: %s", (key) => {
    const others = configured.filter((each) => each !== key);
    expect(problemsWith(real, configured)).toBe("");
    const message = problemsWith(real, others);
    expect(message.split("\n").slice(1)).toEqual([
      expect.stringMatching(
        new RegExp(
          `^  snack-misaki:${key}: is in plain text, .* Replace the key, .*pulumi config set --secret ${key}$`,
        ),
      ),
    ]);
    expect(message).not.toContain(readPlainConfig()[configKey(key)]);
  });

  it("may be in plain text for the local cloud, where the keys protect nothing", () => {
    expect(problemsWith({}, [])).toBe("");
    expect(problemsWith({ "aws:allowedAccountIds": ["000000000000", "123456789012"] }, configured.slice(1))).toContain(
      "is in plain text",
    );
  });

  it("is marked as a secret by the local engine", () => {
    const all = Object.fromEntries(Object.keys(secretKeys).map((key) => [key, "x"]));
    expect(readStackConfig(process.cwd(), "local", all).secretKeys).toEqual(
      expect.arrayContaining(Object.keys(secretKeys).map(configKey)),
    );
  });

  it.each([
    ["stripeWebhookKey", "whsec_canary", "a key of Stripe's API, rk_… or sk_…"],
    ["stripeApiKey", "pk_test_canary", "a key of Stripe's API, rk_… or sk_…"],
    ["stripeWebhookSecret", "rk_test_canary", "a signing secret of Stripe, whsec_…"],
    ["runpodApiKey", "", "a text without spaces"],
    ["anthropicApiKey", "sk-canary\n", "a text without spaces"],
  ])("with a wrong form is reported together with all other invalid keys: %s", (key, value, allowed) => {
    const message = problems({ [key]: value, runpodRolloutLimitMs: "soon" });
    expect(message.split("\n").slice(1)).toEqual([
      '  snack-misaki:runpodRolloutLimitMs: must be a whole number of milliseconds, at least 0, got "soon"',
      `  snack-misaki:${key}: must be ${allowed}; set it with: pulumi config set --secret ${key}`,
    ]);
    expect(message).not.toContain("canary");
  });
});

describe("The AWS keys of the stack configuration", () => {
  it.each([undefined, "tokyo"])("are refused when aws:region is %s", (region) => {
    expect(problems({ "aws:region": region })).toContain(
      "\n  aws:region: must be an AWS Region; set it with: pulumi config set aws:region ap-northeast-1",
    );
  });

  it("are refused when the default tags do not name the project and this stack", () => {
    expect(
      problems({ "aws:defaultTags": { tags: { project: "other", stack: "prod" } } })
        .split("\n")
        .slice(1),
    ).toEqual([
      '  aws:defaultTags.tags.project: must be "snack-misaki"; set it with: pulumi config set --path aws:defaultTags.tags.project snack-misaki',
      '  aws:defaultTags.tags.stack: must be "test"; set it with: pulumi config set --path aws:defaultTags.tags.stack test',
    ]);
    expect(problems({ "aws:defaultTags": undefined })).toContain("aws:defaultTags.tags.project: must be");
  });

  it.each(["aws-snack", "snack-amazon", "mycognito1"])("are refused with the reserved domain prefix %s", (prefix) => {
    expect(problems({ "auth.domainPrefix": prefix })).toContain(
      `auth.domainPrefix: must not contain aws, amazon or cognito, got "${prefix}"`,
    );
  });

  // The names of ECR's repositories contain the stack: no capitals, and no two separators in a row.
  it.each(["prod.eu", "a-stack-name-of-19ch", "Prod", "prod_", "prod--eu"])(
    "are refused for the stack name %s",
    async (stack) => {
      await pulumi.runtime.setMocks(mocks, "snack-misaki", stack);
      const message = problems({});
      await pulumi.runtime.setMocks(mocks, "snack-misaki", "test");
      expect(message).toContain(
        "\n  the name of the stack: must have at most 18 characters: lower-case letters and digits, and - or _ between two of them",
      );
    },
  );
});
