import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { builtinModules, createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createApi } from "../../client";
import { byModel, models, Plan, planModels } from "../../contract/plan";
import { vipProviderKeys, vipProviders } from "../../contract/relay";
import { ProviderFailure } from "../../functions/core/relay/provider";
import type { ProviderModule } from "../../functions/relay/providers";
import { modelFacts, modelReference } from "../../images/models";
import { bundlePath, functionNames, lazyBundles } from "../../infra/bundle";
import type { AwsResource } from "../../local/aws/support/account";
import { type LocalCloud, startLocalCloud } from "../../local/cloud/cloud";
import type { ProgramOutputs } from "../../local/cloud/outputs";
import { bringUp, engineOptions } from "../../local/cloud/program";
import { destroy, preview, type StepEvent, up } from "../../local/pulumi/engine";
import { openAccount } from "../../local/runpod/account/accountFile";
import { customerApi } from "../../local/visitor/customer";
import { browserKeyOf, configKey, huggingfaceTokenOf, START_STACK, stackNames } from "../../names";
import { webhookEvents } from "../../stripe/events";
import { budgets, functionName, packageFolder, zippedBytes } from "../../verify/bench/zips";
import { logicalName } from "../names";

// All tests share one stack: the real program in a local cloud, as stack `start`. All external LLMs are configured, and the
// model of the paid plan has a browser key.
const programDir = process.cwd();
const dir = mkdtempSync(join(tmpdir(), "snack-misaki-program-"));
const canaries: Record<string, string> = {
  runpodApiKey: "canary-account-key-5f2d",
  [browserKeyOf(planModels.paid)]: "canary-browser-key-9a1c-e57b",
  [huggingfaceTokenOf(planModels.paid)]: "hf_canary_worker_token_3e88",
  ...Object.fromEntries(
    Object.values(vipProviderKeys).flatMap((key) => (key ? [[key, `canary-${key}-of-a-provider-77d0`]] : [])),
  ),
  stripeApiKey: "rk_test_canary_functions_1b7d",
  stripeWebhookKey: "rk_test_canary_webhooks_c04e",
};
const llm = { model: "model-1", usdPerMillionTokens: { input: 2, cachedInput: 0.2, output: 10 } };
const vip = {
  providers: ["bedrock", "anthropic", "huggingface", "openai"],
  anthropic: { ...llm, effort: "low" },
  openai: { ...llm, baseUrl: "http://localhost:11434/v1" },
  bedrock: { ...llm, model: "jp.vendor.model-2" },
  huggingface: llm,
};
const names = stackNames(START_STACK);
let cloud: LocalCloud;
let outputs: ProgramOutputs;

beforeAll(async () => {
  cloud = await startLocalCloud({ programDir, dir, freePorts: true, config: { ...canaries, vip } });
  outputs = await bringUp(cloud, programDir, dir);
});

afterAll(async () => {
  await cloud?.close();
  rmSync(dir, { recursive: true, force: true });
});

const resources = (type: string): AwsResource[] => cloud.aws.account.list(type);
const functions = () => resources("aws:lambda/function:Function");
const archiveOf = (resource: AwsResource) => packageFolder(dir, resource);
const versionOfImage = ({ outputs: { buildArgs } }: AwsResource) => (buildArgs as Record<string, string>).MODEL_VERSION;
const changes = (steps: StepEvent[]) =>
  steps
    .filter(({ op, custom }) => op !== "same" && custom)
    .map(({ op, type, name }) => `${op} ${type} ${name}`)
    .sort();
const filesOf = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

describe("Each Lambda archive", () => {
  it("contains only the entry file and the function's bundles, and is within its size budget", () => {
    const sizes = functions().map((fn) => {
      const name = functionName(fn);
      const files = filesOf(archiveOf(fn)).map((file) => file.slice(archiveOf(fn).length + 1));
      const bundles = [name, ...(lazyBundles[name] ?? [])].map((bundle) => join(bundlePath(`functions/${bundle}`)));
      expect(files.sort()).toEqual([...bundles, "__index.js"].sort());
      return { name, bytes: zippedBytes(archiveOf(fn)), budgetBytes: budgets[name] };
    });
    console.table(sizes);
    for (const { name, bytes, budgetBytes } of sizes) expect(bytes, name).toBeLessThanOrEqual(budgetBytes);
    expect(sizes.map(({ name }) => name).sort()).toEqual([...functionNames].sort());
  });

  it("requires no file outside the archive except Node's built-in modules", () => {
    for (const fn of functions()) {
      const inside = archiveOf(fn) + sep;
      for (const file of filesOf(archiveOf(fn))) {
        const { resolve } = createRequire(file);
        const required = readFileSync(file, "utf8").matchAll(/\b(?:require|import)\(\s*["'`]([^"'`]+)["'`]\s*\)/g);
        for (const [, specifier = ""] of required) {
          if (builtinModules.includes(specifier.replace(/^node:/, ""))) continue;
          expect(resolve(specifier).startsWith(inside), `${file} requires ${specifier}`).toBe(true);
        }
      }
    }
  });

  it("of the relay contains every external LLM, and the relay recognizes their failures", async () => {
    const relay = functions().find((fn) => functionName(fn) === "relay");
    if (!relay) throw new Error("The relay does not exist");
    for (const name of vipProviders) {
      const bundle = join(archiveOf(relay), bundlePath(`functions/relay/providers/${name}`));
      const { create } = createRequire(bundle)(bundle) as ProviderModule;
      const provider = create({ env: {}, readKey: () => Promise.reject(new Error("no key")) });
      expect(provider.name).toBe(name);
      const chat = {
        messages: [{ role: "user" as const, content: "こんばんは" }],
        maxTokens: 1,
        sampling: {},
        system: { persona: "", greeting: "" },
        userHash: "user",
      };
      const stream = provider.stream(chat, new AbortController().signal)[Symbol.asyncIterator]();
      const failure: unknown = await stream.next().catch((error: unknown) => error);
      expect(failure, name).toBeInstanceOf(ProviderFailure);
      expect(failure).toMatchObject({ reason: "misconfigured" });
    }
  });

  it("handles an event when it is loaded from an empty folder", () => {
    const empty = mkdtempSync(join(tmpdir(), "snack-misaki-empty-"));
    for (const fn of functions()) {
      const script = `
        globalThis.awslambda = {
          streamifyResponse: (stream) => async (event, context) => {
            const response = new (require("node:stream").PassThrough)();
            const body = require("node:stream/consumers").text(response);
            await stream(event, response, context);
            return { body: await body };
          },
          HttpResponseStream: { from: (response) => response },
        };
        const { handler } = require(${JSON.stringify(join(archiveOf(fn), "__index.js"))});
        const http = { sourceIp: "192.0.2.1", method: "POST", path: "/chat" };
        const event = { rawPath: "/chat", headers: {}, body: "{", requestContext: { http } };
        const context = { getRemainingTimeInMillis: () => 300_000 };
        handler(event, context).then((result) => console.log(JSON.stringify(result)), (error) => console.log(error.message));`;
      const { stdout, stderr } = spawnSync(process.execPath, ["--no-experimental-require-module", "-e", script], {
        cwd: empty,
        env: { AWS_REGION: "ap-northeast-1" },
        encoding: "utf8",
      });
      // The event has no token, no JSON body, no signature and no command, so each function rejects it before a call to
      // AWS. Only the scheduled functions ignore the event, and their first call to AWS fails.
      const expected = {
        guest: "invalid_input",
        webhook: "signature_invalid",
        admin: "invalid_input",
        relay: "invalid_input",
      };
      if (functionName(fn) === "canary") {
        expect(stderr).toContain("candidate_unreadable");
        continue;
      }
      if (["reconciler", "registryRefresh", "poller"].includes(functionName(fn))) {
        expect(stdout).toContain("Not available at the moment");
        continue;
      }
      // The lines before the result are the log.
      const answer = JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
      expect(stderr).toBe("");
      const { error } = functionName(fn) === "admin" ? answer : JSON.parse(answer.body);
      expect(error.code).toBe(expected[functionName(fn) as keyof typeof expected] ?? "unauthorized");
    }
    rmSync(empty, { recursive: true });
  });
});

describe("Secrets", () => {
  const parameter = (name: string) => {
    const found = resources("aws:ssm/parameter:Parameter").find(({ id }) => id.endsWith(name));
    return JSON.parse(String(found?.outputs.value));
  };
  const generated = () => [
    parameter("ticket-signing-key").d as string,
    parameter("stripe-webhook-secret").current as string,
  ];

  it("do not appear in Lambda archives, function settings or stack outputs", () => {
    const planted = [...Object.values(canaries), ...generated()];
    const texts = functions().flatMap((fn) => [
      ...filesOf(archiveOf(fn)).map((file) => readFileSync(file, "utf8")),
      JSON.stringify({ ...fn.outputs, code: undefined }),
    ]);
    texts.push(JSON.stringify(outputs));
    expect(planted.every((secret) => secret.length >= 20)).toBe(true);
    for (const text of texts) for (const secret of planted) expect(text).not.toContain(secret);
  });

  it("are marked as secrets everywhere in the stack's state", () => {
    const state = JSON.parse(readFileSync(join(dir, "stack.json"), "utf8"));
    const open: string[] = [];
    const look = (value: unknown, path: string) => {
      if (typeof value === "string") {
        for (const secret of [...Object.values(canaries), ...generated()]) if (value.includes(secret)) open.push(path);
      } else if (typeof value === "object" && value !== null) {
        if ((value as Record<string, unknown>)["4dabf18193072939515e22adb298388d"] !== undefined) return;
        for (const [key, inner] of Object.entries(value)) look(inner, `${path}.${key}`);
      }
    };
    look(state, "state");
    expect(open).toEqual([]);
  });

  it("include the ECR token, which the stack's state marks as a secret", () => {
    const state = JSON.parse(readFileSync(join(dir, "stack.json"), "utf8"));
    const found = Object.values<{ type: string; inputs: Record<string, unknown>; outputs: Record<string, unknown> }>(
      state.resources,
    ).filter(({ type }) => type === "pulumi-nodejs:dynamic/runpod:RegistryAuth");
    expect(found).toHaveLength(1);
    for (const { inputs, outputs } of found)
      for (const { password } of [inputs, outputs]) expect(password).toBeTypeOf("object");
  });

  it("are stored in AWS only as SecureString parameters", () => {
    const parameters = resources("aws:ssm/parameter:Parameter");
    // Without a candidate in the configuration, its parameter does not exist.
    const { browserKey, candidates: _, providerKey, ...others } = names.parameters;
    expect(parameters.map(({ outputs }) => outputs.name).sort()).toEqual(
      [
        ...Object.values(others),
        browserKey(planModels.paid),
        ...vipProviders.filter((name) => vipProviderKeys[name]).map(providerKey),
      ].sort(),
    );
    // The expiry of the registry token is not a secret. Operators read it.
    const open = parameters.filter(({ outputs }) => outputs.type !== "SecureString");
    expect(open.map(({ outputs }) => outputs.name)).toEqual([names.parameters.registryTokenExpiry]);
  });
});

/** Last part of an ARN, with the logical name of a resource that has an automatic name. */
function kindOf(arn: string): string {
  const [, table = "", index = ""] = /:table\/([\w-]+)(.*)$/.exec(arn) ?? [];
  return table ? logicalName(table) + index : logicalName(arn.split(/[/:](?!\*)/).pop() ?? "");
}

interface PolicyStatement {
  Action: string[];
  Resource: string[];
  Condition?: Record<string, Record<string, string[]>>;
}

describe("Policies of the functions", () => {
  it("allow only named actions on named resources, without wildcards except for the models' candidates", () => {
    const statements = resources("aws:iam/rolePolicy:RolePolicy").flatMap(
      ({ outputs: { policy } }) => JSON.parse(String(policy)).Statement as { Action: string[]; Resource: string[] }[],
    );
    expect(statements.length).toBeGreaterThan(0);
    for (const { Action, Resource } of statements) {
      expect(Action.length).toBeGreaterThan(0);
      expect(Resource.length).toBeGreaterThan(0);
      for (const action of Action) expect(action).toMatch(/^[a-z0-9-]+:[A-Za-z]+$/);
      // IAM cannot restrict this action to a resource.
      if (Action.join() === "ecr:GetAuthorizationToken") continue;
      // Foundation models of Bedrock belong to no account.
      const arn = /^arn:aws:[a-z-]+:[a-z0-9-]+:(\d{12}:|:foundation-model\/)[^*]+(:\*|\/candidates\/\*)?$/;
      for (const resource of Resource) expect(resource).toMatch(arn);
      // Only the operator's resync of all customers scans. It may scan only this index, which contains only keys.
      if (Action.includes("dynamodb:Scan")) expect(Resource.join()).toMatch(/\/index\/stripe_customer_id$/);
    }
  });

  it("allow each function only the actions and the kinds of ephemeral items that it uses", () => {
    const ofFunctions = resources("aws:iam/rolePolicy:RolePolicy").filter(({ id }) => !id.includes("-schedule-"));
    const policies = ofFunctions.map(({ id, outputs: { policy } }) => {
      // The first statement allows the function to write its log.
      const [, ...statements] = JSON.parse(String(policy)).Statement as PolicyStatement[];
      const lines = statements.map(({ Action, Resource, Condition }) => {
        const keys = Condition?.["ForAllValues:StringLike"]?.["dynamodb:LeadingKeys"];
        return `${Action.join(" ")} on ${Resource.map(kindOf).join(" ")}${keys ? ` ${keys.join(" ")}` : ""}`;
      });
      return [logicalName(id.split(":")[1] ?? ""), lines] as const;
    });
    const readRow = "dynamodb:GetItem on users";
    const writeRow = "dynamodb:GetItem dynamodb:UpdateItem on users";
    const byCustomer = "dynamodb:Query on users/index/stripe_customer_id";
    const count = "dynamodb:UpdateItem on ephemeral";
    const events = "evt#*";
    const stripeKey = "ssm:GetParameters on stripe-api-key";
    const candidates = "ssm:GetParameters on candidates/*";
    const changeCandidates = [candidates, "ssm:PutParameter on candidates/*"];
    const readCanary = ["dynamodb:GetItem on ephemeral canary#*", "dynamodb:BatchGetItem on ephemeral replies#*"];
    const invoke = "bedrock:InvokeModelWithResponseStream on";
    expect(Object.fromEntries(policies)).toEqual({
      session: [`ssm:GetParameters on ticket-signing-key ${planModels.paid}-browser-key`, candidates, readRow],
      guest: ["ssm:GetParameters on ticket-signing-key", candidates, `${count} rate#guest#* rate#guest-renewal#*`],
      plan: [readRow, "dynamodb:GetItem on ephemeral usage#user#*"],
      relay: [
        "ssm:GetParameters on ticket-signing-key runpod-api-key anthropic-key openai-key huggingface-key",
        candidates,
        "dynamodb:GetItem dynamodb:PutItem on ephemeral usage#*",
        "dynamodb:GetItem dynamodb:UpdateItem on ephemeral spend#*",
        "dynamodb:BatchGetItem dynamodb:UpdateItem dynamodb:DeleteItem on ephemeral cooldown#*",
        `${count} replies#*`,
        `${invoke} jp.vendor.model-2`,
        `${invoke} vendor.model-2 vendor.model-2`,
      ],
      checkout: [
        writeRow,
        byCustomer,
        "dynamodb:GetItem dynamodb:UpdateItem on ephemeral checkout#*",
        `${count} rate#checkout#*`,
        stripeKey,
      ],
      portal: [readRow, `${count} rate#portal#*`, stripeKey],
      sync: [writeRow, byCustomer, `${count} rate#sync#*`, stripeKey],
      webhook: [
        writeRow,
        byCustomer,
        `${count} ${events}`,
        `${count} rate#webhook-event#* rate#webhook-customer#*`,
        stripeKey,
        "ssm:GetParameters on stripe-webhook-secret",
      ],
      reconciler: [
        writeRow,
        byCustomer,
        "dynamodb:Query on users/index/review",
        `dynamodb:BatchGetItem dynamodb:UpdateItem on ephemeral ${events}`,
        stripeKey,
      ],
      admin: [
        writeRow,
        expect.stringMatching(/^cognito-idp:ListUsers on ap-northeast-1_\w{9}$/),
        byCustomer,
        "dynamodb:Scan on users/index/stripe_customer_id",
        `dynamodb:BatchGetItem on ephemeral ${events}`,
        ...readCanary,
        ...changeCandidates,
        stripeKey,
      ],
      registryRefresh: [
        "ssm:GetParameters on runpod-api-key",
        "ssm:PutParameter on registry-token-expiry",
        "ecr:GetAuthorizationToken on *",
        `ecr:BatchGetImage ecr:GetDownloadUrlForLayer on ${models.join(" ")}`,
        "sqs:SendMessage on registryRefresh-failed",
      ],
      poller: [
        "ssm:GetParameters on runpod-api-key ticket-signing-key registry-token-expiry",
        "dynamodb:UpdateItem on ephemeral keepalive#*",
      ],
      canary: [
        "ssm:GetParameters on runpod-api-key ticket-signing-key",
        ...changeCandidates,
        ...readCanary,
        "dynamodb:PutItem on ephemeral canary#*",
        "sns:Publish on operations",
      ],
    });
  });

  it("use a separate role for each function and no managed policies", () => {
    const roles = functions().map(({ outputs: { role } }) => role);
    expect(new Set(roles).size).toBe(functions().length);
    expect(resources("aws:iam/rolePolicyAttachment:RolePolicyAttachment")).toEqual([]);
  });
});

describe("The relay", () => {
  const relay = () => {
    const found = functions().find((fn) => functionName(fn) === "relay");
    if (!found) throw new Error("The relay does not exist");
    return found.outputs;
  };

  it("has a public streaming URL that the frontend's origins may POST to", () => {
    const { origins } = JSON.parse(cloud.config().values[configKey("frontend")] ?? "");
    const urls = resources("aws:lambda/functionUrl:FunctionUrl").map(({ outputs }) => outputs);
    expect(urls).toMatchObject([
      {
        functionName: relay().name,
        authorizationType: "NONE",
        invokeMode: "RESPONSE_STREAM",
        cors: {
          allowOrigins: origins,
          allowMethods: ["POST"],
          allowHeaders: ["authorization", "content-type"],
          exposeHeaders: ["retry-after", "x-request-id", "server-timing"],
        },
      },
    ]);
    expect(outputs.relayUrl).toBe(String(urls[0]?.functionUrl).replace(/\/$/, ""));
  });

  it("has both permissions that AWS requires of a public function URL", () => {
    const permissions = resources("aws:lambda/permission:Permission")
      .map(({ outputs: { action, principal, functionUrlAuthType, invokedViaFunctionUrl, ...others } }) => ({
        function: others.function,
        granted: { action, principal, functionUrlAuthType, invokedViaFunctionUrl },
      }))
      .filter((permission) => permission.function === relay().name)
      .map(({ granted }) => granted);
    expect(permissions).toHaveLength(2);
    expect(permissions).toEqual(
      expect.arrayContaining([
        { action: "lambda:InvokeFunctionUrl", principal: "*", functionUrlAuthType: "NONE" },
        { action: "lambda:InvokeFunction", principal: "*", invokedViaFunctionUrl: true },
      ]),
    );
  });

  it("is the only function with reserved concurrency, and waits long enough for a worker to start", () => {
    const reserved = functions().filter(({ outputs }) => Number(outputs.reservedConcurrentExecutions) >= 0);
    expect(reserved.map(functionName)).toEqual(["relay"]);
    expect(relay()).toMatchObject({ reservedConcurrentExecutions: 50, timeout: 300 });
    expect(relay().memorySize).toBeGreaterThanOrEqual(512);
  });

  it("gets the external LLMs in their order as environment variables, without their keys", () => {
    expect(relay().environment).toEqual({
      variables: {
        METRICS_NAMESPACE: names.metrics,
        VIP_PROVIDERS: "bedrock,anthropic,huggingface,openai",
        ANTHROPIC_MODEL: "model-1",
        ANTHROPIC_EFFORT: "low",
        OPENAI_MODEL: "model-1",
        OPENAI_BASE_URL: "http://localhost:11434/v1",
        BEDROCK_MODEL: "jp.vendor.model-2",
        HUGGINGFACE_MODEL: "model-1",
      },
    });
  });

  it("serves every plan's chats, except a plan with a browser key and without an external LLM", async () => {
    const expected = { free: outputs.relayUrl, paid: outputs.inference[planModels.paid], vip: outputs.relayUrl };
    await cloud.seedCustomers();
    for (const plan of Plan.options) {
      const session = await (await customerApi(plan, cloud, outputs)).session();
      const { kind, url, authorization } = session.inference;
      expect({ plan: session.plan, kind, url }).toEqual({
        plan,
        kind: plan === "paid" ? "runpod" : "relay",
        url: expected[plan],
      });
      const key = plan === "paid" ? canaries[browserKeyOf(planModels.paid)] : session.ticket;
      expect(authorization).toBe(`Bearer ${key}`);
    }
    const guest = await createApi({ apiUrl: outputs.apiUrl, getIdToken: async () => undefined }).guest();
    expect(guest.inference).toEqual({
      kind: "relay",
      url: outputs.relayUrl,
      authorization: `Bearer ${guest.ticket}`,
    });
  });
});

describe("The plan function", () => {
  it("returns the use of the relay and its limits", async () => {
    await cloud.seedCustomers();
    const { plan, usage } = await (await customerApi("paid", cloud, outputs)).plan();
    expect({ plan, usage }).toEqual({
      plan: "paid",
      usage: {
        minute: { chats: 0, limit: 600, resets_at: expect.any(String) },
        day: { tokens: 0, limit: 100_000_000, resets_at: expect.any(String) },
      },
    });
  });
});

describe("The program", () => {
  it("requires an ID token on every route except POST /auth/guest and POST /webhook/stripe", () => {
    const open = resources("aws:apigatewayv2/route:Route").filter(({ outputs: o }) => o.authorizationType !== "JWT");
    expect(open.map(({ outputs: { routeKey } }) => routeKey).sort()).toEqual([
      "POST /auth/guest",
      "POST /webhook/stripe",
    ]);
  });

  it("ignores the case of e-mail addresses, and sends e-mail with Amazon SES", () => {
    const [pool] = resources("aws:cognito/userPool:UserPool");
    expect(pool?.outputs).toMatchObject({
      usernameConfiguration: { caseSensitive: false },
      emailConfiguration: {
        emailSendingAccount: "DEVELOPER",
        sourceArn: "arn:aws:ses:ap-northeast-1:000000000000:identity/snack-misaki.example",
        fromEmailAddress: "mama@snack-misaki.example",
      },
    });
  });

  it("rotates refresh tokens, and allows passwords only at the hosted pages", () => {
    const [client] = resources("aws:cognito/userPoolClient:UserPoolClient");
    expect(client?.outputs).toMatchObject({
      refreshTokenRotation: { feature: "ENABLED", retryGracePeriodSeconds: 60 },
      explicitAuthFlows: ["ALLOW_CUSTOM_AUTH"],
    });
  });

  it("has an API that clients reach over IPv4 and IPv6", () => {
    const [api] = resources("aws:apigatewayv2/api:Api");
    expect(api?.outputs.ipAddressType).toBe("dualstack");
  });

  it("sets a TTL on the table of counters, but not on the table of customers", () => {
    const tables = Object.fromEntries(
      resources("aws:dynamodb/table:Table").map(({ outputs }) => [logicalName(String(outputs.name)), outputs]),
    );
    expect(tables.users?.pointInTimeRecovery).toMatchObject({ enabled: true });
    expect((tables.users?.ttl as { enabled?: boolean } | undefined)?.enabled ?? false).toBe(false);
    expect(tables.ephemeral?.ttl).toMatchObject({ attributeName: "ttl", enabled: true });
  });

  it("registers ECR credentials at RunPod and renews their token every 6 hours", async () => {
    const runpod = openAccount(join(dir, "runpod", "account.db")).data;
    const [auth, ...others] = Object.values(runpod.registryAuths);
    expect(others).toEqual([]);
    expect(auth?.name).toBe(names.registryCredentials);
    const used = Object.values(runpod.templates);
    expect(used.map(({ containerRegistryAuthId }) => containerRegistryAuthId)).toEqual(models.map(() => auth?.id));
    const refresh = functions().find((fn) => functionName(fn) === "registryRefresh");
    expect(await cloud.aws.invoke(String(refresh?.outputs.name), {})).toEqual({ expiresAt: expect.any(String) });
    const alarms = resources("aws:cloudwatch/metricAlarm:MetricAlarm");
    const alarm = alarms.find(({ id }) => logicalName(id) === "registryRefresh");
    expect(alarm?.outputs).toMatchObject({ metricName: "Errors", dimensions: { FunctionName: refresh?.outputs.name } });
    const schedules = resources("aws:scheduler/schedule:Schedule").map(({ outputs }) => outputs.scheduleExpression);
    expect(schedules).toContain("rate(6 hours)");
  });

  it("keeps a model's Hugging Face token in a secret of the RunPod account, and only its name in the template", () => {
    const { secrets, templates } = openAccount(join(dir, "runpod", "account.db")).data;
    const model = planModels.paid;
    const name = names.huggingfaceSecret(model);
    expect(Object.values(secrets)).toMatchObject([{ name, value: canaries[huggingfaceTokenOf(model)] }]);
    const tokens = Object.values(templates).map(({ env }) => env.find(({ key }) => key === "HF_TOKEN")?.value);
    expect(tokens.sort()).toEqual([`{{ RUNPOD_SECRET_${name} }}`, undefined]);
    expect(JSON.stringify(templates)).not.toContain(canaries[huggingfaceTokenOf(model)]);
  });

  it("passes a model's Hugging Face token to the build of its image as a secret, and never as a build argument", () => {
    const built = resources("docker-build:index:Image");
    const secrets = built.map(({ outputs }) => [(outputs.buildArgs as { MODEL: string }).MODEL, outputs.secrets]);
    const model = planModels.paid;
    expect(Object.fromEntries(secrets)).toEqual({
      ...byModel(() => undefined),
      [model]: { HF_TOKEN: canaries[huggingfaceTokenOf(model)] },
    });
    const others = built.map(({ outputs: { secrets, ...rest } }) => rest);
    expect(JSON.stringify(others)).not.toContain(canaries[huggingfaceTokenOf(model)]);
    // The state keeps the token as a secret.
    const { resources: saved } = JSON.parse(readFileSync(join(dir, "stack.json"), "utf8")) as {
      resources: { type: string; inputs: Record<string, unknown> }[];
    };
    const kept = saved.flatMap(({ type, inputs }) =>
      type === "docker-build:index:Image" ? (inputs.secrets ?? []) : [],
    );
    expect(JSON.stringify(kept)).toContain("1b47061264138c4ac30d75fd1eb44270");
  });

  it("builds no image again when only the Hugging Face token changes", async () => {
    const key = huggingfaceTokenOf(planModels.paid);
    const { steps } = await preview(engineOptions(cloud, programDir, dir, { [key]: "hf_canary_rotated_token_3e88" }));
    expect(changes(steps)).toEqual([expect.stringContaining("runpod:Secret")]);
  });

  it("gives RunPod registry tokens of the function's role, never of the deployer", () => {
    const { resources: saved } = JSON.parse(readFileSync(join(dir, "stack.json"), "utf8")) as {
      resources: { type: string; inputs: Record<string, unknown> }[];
    };
    const auth = saved.find(({ type }) => type.endsWith(":RegistryAuth"));
    expect(auth?.inputs).toMatchObject({ username: "AWS", password: { value: "none" } });
    expect(resources("aws:lambda/invocation:Invocation")).toMatchObject([
      { outputs: { functionName: names.functions.registryRefresh, result: expect.stringContaining("expiresAt") } },
    ]);
    const expiry = resources("aws:ssm/parameter:Parameter").find(
      ({ id }) => id === names.parameters.registryTokenExpiry,
    );
    expect(Date.parse(String(expiry?.outputs.value))).toBeGreaterThan(Date.now());
  });

  it("retries a failed renewal of the registry token and then queues it, but does not retry the reconciler", () => {
    const [queue, ...others] = resources("aws:sqs/queue:Queue");
    expect(others).toEqual([]);
    const arn = queue?.outputs.arn;
    const configs = resources("aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig").map(
      ({ id, outputs }) => [functionName({ outputs: { name: id } } as unknown as AwsResource), outputs],
    );
    expect(Object.fromEntries(configs)).toMatchObject({
      reconciler: { maximumRetryAttempts: 0 },
      registryRefresh: { maximumRetryAttempts: 2, destinationConfig: { onFailure: { destination: arn } } },
    });
    const targets = resources("aws:scheduler/schedule:Schedule").map(({ id, outputs: { target } }) => [
      logicalName(id.replace("default/", "")),
      target,
    ]);
    expect(Object.fromEntries(targets)).toMatchObject({
      reconciler: { retryPolicy: { maximumRetryAttempts: 0 } },
      registryRefresh: { retryPolicy: { maximumRetryAttempts: 10 }, deadLetterConfig: { arn } },
    });
  });

  it("allows only the scheduler of this AWS account to assume the schedules' roles", () => {
    const trusts = resources("aws:iam/role:Role").map(({ outputs }) => JSON.parse(String(outputs.assumeRolePolicy)));
    const statements = trusts.flatMap(({ Statement }) => Statement);
    const ofScheduler = statements.filter(({ Principal }) => Principal.Service === "scheduler.amazonaws.com");
    expect(ofScheduler).toHaveLength(4);
    for (const { Condition } of ofScheduler)
      expect(Condition).toEqual({ StringEquals: { "aws:SourceAccount": cloud.aws.account.accountId } });
  });

  it("has a separate rate limit for each route without sign-in", () => {
    const [stage] = resources("aws:apigatewayv2/stage:Stage");
    const limits = { throttlingRateLimit: 50, throttlingBurstLimit: 100 };
    expect(stage?.outputs.routeSettings).toEqual([
      { routeKey: "POST /auth/guest", ...limits },
      { routeKey: "POST /webhook/stripe", ...limits },
    ]);
  });

  it("writes the access log below /aws/vendedlogs/, scans pushed images and builds no image in a preview", () => {
    const [stage] = resources("aws:apigatewayv2/stage:Stage");
    expect(JSON.stringify(stage?.outputs.accessLogSettings)).toContain("log-group:/aws/vendedlogs/snack-misaki-start/");
    const repositories = resources("aws:ecr/repository:Repository");
    expect(repositories.map(({ inputs }) => inputs.imageScanningConfiguration)).toEqual(
      models.map(() => ({ scanOnPush: true })),
    );
    const built = resources("docker-build:index:Image");
    expect(built.map(({ inputs }) => inputs.buildOnPreview)).toEqual(models.map(() => false));
  });

  it("keeps class names in the bundles, so that a log shows the class of an error", () => {
    const webhook = functions().find((fn) => functionName(fn) === "webhook");
    if (!webhook) throw new Error("The webhook function does not exist");
    const bundle = readFileSync(join(archiveOf(webhook), bundlePath("functions/webhook")), "utf8");
    expect(bundle).toMatch(/"StripeFailure"/);
  });

  it("runs its functions on Node 24 and arm64", () => {
    for (const { outputs: o } of functions()) {
      expect(o).toMatchObject({ runtime: "nodejs24.x", architectures: ["arm64"] });
    }
  });

  it("registers one webhook endpoint at Stripe for all events that the webhook function handles", () => {
    expect(cloud.stripe?.account.webhookEndpoints()).toEqual([
      expect.objectContaining({ url: outputs.webhookUrl, enabledEvents: expect.arrayContaining([...webhookEvents]) }),
    ]);
  });

  it("replaces the webhook endpoint and keeps the previous secret when the secret generation is increased", async () => {
    const secrets = () => {
      const [
        {
          outputs: { value },
        } = { outputs: { value: "{}" } },
      ] = resources("aws:ssm/parameter:Parameter").filter(({ id }) => id.endsWith("stripe-webhook-secret"));
      return JSON.parse(String(value)) as { current: string; previous: string | null };
    };
    const before = secrets();
    const [endpoint] = cloud.stripe?.account.webhookEndpoints() ?? [];
    const next = engineOptions(cloud, programDir, dir, { "billing.webhookSecretGeneration": 2 });
    expect(changes((await up(next)).steps)).toEqual([
      "replace pulumi-nodejs:dynamic/stripe:WebhookEndpoint stripe-webhook",
      "update aws:ssm/parameter:Parameter stripe-webhook-secret",
      "update pulumi-nodejs:dynamic/stripe:WebhookSecrets stripe-webhook",
    ]);
    const [replaced, ...others] = cloud.stripe?.account.webhookEndpoints() ?? [];
    expect(others).toEqual([]);
    expect(replaced?.id).not.toBe(endpoint?.id);
    expect(secrets()).toEqual({ current: replaced?.secret, previous: before.current });
    await up(engineOptions(cloud, programDir, dir));
  });

  it("shows no change in a preview when neither code nor configuration has changed", async () => {
    const { steps } = await preview(engineOptions(cloud, programDir, dir));
    expect(steps.filter(({ op }) => op !== "same")).toEqual([]);
  });

  it("keeps the parameter with RunPod's key when the stack was created before the relay", async () => {
    const state = join(dir, "stack.json");
    const parameter = "aws:ssm/parameter:Parameter::runpod-api-key";
    const text = readFileSync(state, "utf8");
    // In the old state, the parameter's parent is the registry.
    const before = JSON.parse(text, (_, value) => {
      if (typeof value?.urn !== "string" || !value.urn.endsWith(`AccountKeys$${parameter}`)) return value;
      const urn = value.urn.replace("AccountKeys$", "Registry$");
      return { ...value, urn, parent: value.parent.replace(/AccountKeys::.*/, "Registry::registry") };
    });
    expect(JSON.stringify(before)).toContain(`Registry$${parameter}`);
    writeFileSync(state, JSON.stringify(before));
    const { steps } = await up(engineOptions(cloud, programDir, dir));
    expect(changes(steps)).toEqual([]);
    expect(readFileSync(state, "utf8")).toContain(`snack:infra:AccountKeys$${parameter}`);
  });

  it("runs without a search through all installed packages", async () => {
    const report = join(dir, "report.txt");
    const preload = join(dir, "report-walks.cjs");
    // npm's library Arborist searches the installed packages. It loads load-actual.js before its first search.
    writeFileSync(
      preload,
      `process.on("exit", () => {
         if (!/cmd.run/.test(process.argv[1])) return;
         const walked = Object.keys(require.cache).some((path) => path.endsWith("load-actual.js"));
         require("node:fs").appendFileSync(${JSON.stringify(report)}, walked ? "walked" : "did not walk");
       });`,
    );
    const options = engineOptions(cloud, programDir, dir);
    await preview({ ...options, env: { ...options.env, NODE_OPTIONS: `--require=${preload}` } });
    expect(readFileSync(report, "utf8")).toBe("did not walk");
  });

  it("adds its operations to a stack that was deployed without them, and recreates nothing", async () => {
    const { version, resources: deployed } = JSON.parse(readFileSync(join(dir, "stack.json"), "utf8")) as {
      version: number;
      resources: { urn: string; parent?: string | undefined }[];
    };
    // In such a stack, the alarm on the renewal of the registry token was a child of the registry.
    const inOperations = /snack:infra:Operations(\$|::)/;
    const older = deployed.flatMap((resource) => {
      if (!inOperations.test(resource.urn)) return [resource];
      if (!resource.urn.endsWith("MetricAlarm::registryRefresh")) return [];
      const registry = deployed.find(({ urn }) => urn.endsWith("::snack:infra:Registry::registry"))?.urn;
      return [{ ...resource, urn: resource.urn.replace("infra:Operations", "infra:Registry"), parent: registry }];
    });
    expect(older.length).toBeLessThan(deployed.length - 50);
    const statePath = join(dir, "older.json");
    writeFileSync(statePath, JSON.stringify({ version, resources: older }), { mode: 0o600 });
    const { steps } = await preview({ ...engineOptions(cloud, programDir, dir), statePath });
    // The alarm gets its receiver.
    expect(changes(steps).filter((change) => !change.startsWith("create "))).toEqual([
      "update aws:cloudwatch/metricAlarm:MetricAlarm registryRefresh",
    ]);
    expect(changes(steps)).not.toContain("create aws:cloudwatch/metricAlarm:MetricAlarm registryRefresh");
  });

  it("changes only one image and one template when one model's image tag changes", async () => {
    const bumped = engineOptions(cloud, programDir, dir, { "phi3.imageTag": "2026-12-01" });
    const planned = changes((await preview(bumped)).steps);
    const done = changes((await up(bumped)).steps);
    expect(done).toEqual([
      "create docker-build:index:Image phi3-2026-12-01",
      "delete docker-build:index:Image phi3-local-1",
      "update pulumi-nodejs:dynamic/runpod:Template phi3",
    ]);
    expect(planned).toEqual(done);
    // Pulumi removes the old image from the state but not from ECR, because a rollback needs it.
    const versions = resources("docker-build:index:Image").map(versionOfImage);
    expect(versions.sort()).toEqual(["2026-12-01", ...models.map(() => "local-1")]);
  });

  it("configures RunPod's model cache when the image does not contain the weights", async () => {
    // Another image needs another tag.
    const cached = { "phi3.weights": "cached", "phi3.imageTag": "2026-12-02" };
    await up(engineOptions(cloud, programDir, dir, cached));
    const [args] = resources("docker-build:index:Image").filter(({ outputs: { buildArgs } }) => {
      const { MODEL_ID, WEIGHTS } = buildArgs as Record<string, string>;
      return MODEL_ID === modelFacts.phi3.huggingFaceId && WEIGHTS === "cached";
    });
    expect(args).toBeDefined();
    const { endpoints } = openAccount(join(dir, "runpod", "account.db")).data;
    const references = Object.values(endpoints).map(({ name, modelReferences }) => [name, modelReferences ?? []]);
    const expected = byModel((model) => (model === "phi3" ? [modelReference("phi3")] : []));
    expect(Object.fromEntries(references)).toEqual(
      Object.fromEntries(models.map((model) => [names.endpoint(model), expected[model]])),
    );
  });

  it("rejects an invalid configuration value before it changes any resource", async () => {
    const bad = engineOptions(cloud, programDir, dir, { "phi3.imageTag": "latest" });
    await expect(up(bad)).rejects.toThrow(
      'The configuration of stack start is not valid:\n  snack-misaki:phi3.imageTag: must name one build, not latest, got "latest"',
    );
  });

  it("leaves no resource at AWS, RunPod or Stripe after a destroy", async () => {
    await destroy(engineOptions(cloud, programDir, dir));
    const types = [
      "aws:lambda/function:Function",
      "aws:dynamodb/table:Table",
      "aws:apigatewayv2/api:Api",
      "aws:cognito/userPool:UserPool",
    ];
    expect(types.flatMap(resources)).toEqual([]);
    expect(openAccount(join(dir, "runpod", "account.db")).data).toMatchObject({ endpoints: {}, secrets: {} });
    expect(cloud.stripe?.account.webhookEndpoints()).toEqual([]);
  });
});
