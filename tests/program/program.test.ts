import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { builtinModules, createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { byModel, models, planModels } from "../../contract/plan";
import { modelFacts, modelReference } from "../../images/models";
import { functionNames } from "../../infra/bundle";
import type { AwsResource } from "../../local/aws/support/account";
import { type LocalCloud, startLocalCloud } from "../../local/cloud/cloud";
import { bringUp, engineOptions, type ProgramOutputs } from "../../local/cloud/program";
import { destroy, preview, type StepEvent, up } from "../../local/pulumi/engine";
import { browserKeyOf, START_STACK, stackNames } from "../../names";
import { webhookEvents } from "../../stripe/events";
import { budgets, functionName, packageFolder, zippedBytes } from "../../verify/bench/zips";

// All tests share one stack: the real program in a local cloud, as stack `start`.
const programDir = process.cwd();
const dir = mkdtempSync(join(tmpdir(), "snack-misaki-program-"));
const canaries = {
  runpodApiKey: "canary-account-key-5f2d",
  ...Object.fromEntries(models.map((model) => [browserKeyOf(model), `canary-${model}-browser-key-9a1c`])),
  stripeApiKey: "rk_test_canary_functions_1b7d",
  stripeWebhookKey: "rk_test_canary_webhooks_c04e",
};
const names = stackNames(START_STACK);
let cloud: LocalCloud;
let outputs: ProgramOutputs;

beforeAll(async () => {
  cloud = await startLocalCloud({ programDir, dir, freePorts: true, config: canaries });
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
  it("contains only the entry file and the bundle, and is within its size budget", () => {
    const sizes = functions().map((fn) => {
      const name = functionName(fn);
      const files = filesOf(archiveOf(fn)).map((file) => file.slice(archiveOf(fn).length + 1));
      expect(files.sort()).toEqual([`.build/functions/${name}.cjs`, "__index.js"]);
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

  it("handles an event when it is loaded from an empty folder", () => {
    const empty = mkdtempSync(join(tmpdir(), "snack-misaki-empty-"));
    for (const fn of functions()) {
      const script = `
        const { handler } = require(${JSON.stringify(join(archiveOf(fn), "__index.js"))});
        const event = { headers: {}, body: "{", requestContext: { http: { sourceIp: "192.0.2.1" } } };
        const context = { getRemainingTimeInMillis: () => 300_000 };
        handler(event, context).then((result) => console.log(JSON.stringify(result)), (error) => console.log(error.message));`;
      const { stdout, stderr } = spawnSync(process.execPath, ["--no-experimental-require-module", "-e", script], {
        cwd: empty,
        env: { AWS_REGION: "ap-northeast-1" },
        encoding: "utf8",
      });
      // The event has no token, no JSON body, no signature and no command, so each function rejects it before a call to
      // AWS. Only the scheduled functions ignore the event, and their first call to AWS fails.
      const expected = { guest: "invalid_input", webhook: "signature_invalid", admin: "invalid_input" };
      if (["reconciler", "registryRefresh"].includes(functionName(fn))) {
        expect(stdout).toContain("Not available at the moment");
        continue;
      }
      const answer = JSON.parse(stdout);
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
    expect(parameters).toHaveLength(5 + models.length);
    // The expiry of the registry token is not a secret. Operators read it.
    const open = parameters.filter(({ outputs }) => outputs.type !== "SecureString");
    expect(open.map(({ outputs }) => outputs.name)).toEqual([names.parameters.registryTokenExpiry]);
  });
});

/** Last part of an ARN without the random suffix that Pulumi adds to names. */
function kindOf(arn: string): string {
  const [, table, index = ""] = /:table\/(\w+)-[0-9a-f]{7}(.*)$/.exec(arn) ?? [];
  return table ? table + index : (arn.split("/").pop() ?? "").replace(/-[0-9a-f]{7}$/, "");
}

describe("Policies of the functions", () => {
  it("allow only named actions on named resources, without wildcards", () => {
    const statements = resources("aws:iam/rolePolicy:RolePolicy").flatMap(
      ({ outputs: { policy } }) => JSON.parse(String(policy)).Statement as { Action: string[]; Resource: string[] }[],
    );
    expect(statements.length).toBeGreaterThan(0);
    for (const { Action, Resource } of statements) {
      expect(Action.length).toBeGreaterThan(0);
      expect(Resource.length).toBeGreaterThan(0);
      for (const action of Action) expect(action).toMatch(/^[a-z0-9]+:[A-Za-z]+$/);
      // IAM cannot restrict this action to a resource.
      if (Action.join() === "ecr:GetAuthorizationToken") continue;
      for (const resource of Resource) expect(resource).toMatch(/^arn:aws:[a-z-]+:[a-z0-9-]+:\d{12}:[^*]+(:\*)?$/);
      // Only the operator's resync of all customers may scan, and it may scan only an index that contains only keys.
      if (Action.includes("dynamodb:Scan")) expect(Resource.join()).toMatch(/\/index\/stripe_customer_id$/);
    }
  });

  it("allow each function exactly the actions that it needs", () => {
    const ofFunctions = resources("aws:iam/rolePolicy:RolePolicy").filter(({ id }) => !id.includes("-schedule-"));
    const policies = ofFunctions.map(({ id, outputs: { policy } }) => {
      // The first statement allows the function to write its log.
      const [, ...statements] = JSON.parse(String(policy)).Statement as { Action: string[]; Resource: string[] }[];
      const lines = statements.map(
        ({ Action, Resource }) => `${Action.join(" ")} on ${Resource.map(kindOf).join(" ")}`,
      );
      return [id.split(/[:-]/)[0], lines] as const;
    });
    const readRow = "dynamodb:GetItem on users";
    const writeRow = "dynamodb:GetItem dynamodb:UpdateItem on users";
    const byCustomer = "dynamodb:Query on users/index/stripe_customer_id";
    const count = "dynamodb:UpdateItem on ephemeral";
    const stripeKey = "ssm:GetParameters on stripe-api-key";
    const browserKeys = models.map((model) => `${model}-browser-key`).join(" ");
    expect(Object.fromEntries(policies)).toEqual({
      session: [`ssm:GetParameters on ticket-signing-key ${browserKeys}`, readRow],
      guest: [`ssm:GetParameters on ticket-signing-key ${planModels.free}-browser-key`, count],
      plan: [readRow],
      checkout: [writeRow, "dynamodb:GetItem dynamodb:UpdateItem on ephemeral", stripeKey],
      portal: [readRow, count, stripeKey],
      sync: [writeRow, count, stripeKey],
      webhook: [writeRow, byCustomer, count, stripeKey, "ssm:GetParameters on stripe-webhook-secret"],
      reconciler: [
        writeRow,
        byCustomer,
        "dynamodb:Query on users/index/review",
        "dynamodb:BatchGetItem dynamodb:UpdateItem on ephemeral",
        stripeKey,
      ],
      admin: [
        writeRow,
        byCustomer,
        "dynamodb:Scan on users/index/stripe_customer_id",
        "dynamodb:BatchGetItem on ephemeral",
        stripeKey,
      ],
      registryRefresh: [
        "ssm:GetParameters on runpod-api-key",
        "ssm:PutParameter on registry-token-expiry",
        "ecr:GetAuthorizationToken on *",
        `ecr:BatchGetImage ecr:GetDownloadUrlForLayer on ${models.join(" ")}`,
      ],
    });
  });

  it("use a separate role for each function and no managed policies", () => {
    const roles = functions().map(({ outputs: { role } }) => role);
    expect(new Set(roles).size).toBe(functions().length);
    expect(resources("aws:iam/rolePolicyAttachment:RolePolicyAttachment")).toEqual([]);
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

  it("sets a TTL on the table of counters, but not on the table of customers", () => {
    const tables = Object.fromEntries(
      resources("aws:dynamodb/table:Table").map(({ outputs }) => [String(outputs.name).split("-")[0], outputs]),
    );
    expect(tables.users?.pointInTimeRecovery).toMatchObject({ enabled: true });
    expect((tables.users?.ttl as { enabled?: boolean } | undefined)?.enabled ?? false).toBe(false);
    expect(tables.ephemeral?.ttl).toMatchObject({ attributeName: "ttl", enabled: true });
  });

  it("registers ECR credentials at RunPod and renews their token every 6 hours", async () => {
    const runpod = JSON.parse(readFileSync(join(dir, "runpod", "account.json"), "utf8"));
    const [auth, ...others] = Object.values<{ id: string; name: string }>(runpod.registryAuths);
    expect(others).toEqual([]);
    expect(auth?.name).toBe(names.registryCredentials);
    const used = Object.values<{ containerRegistryAuthId: string }>(runpod.templates);
    expect(used.map(({ containerRegistryAuthId }) => containerRegistryAuthId)).toEqual(models.map(() => auth?.id));
    const refresh = functions().find((fn) => functionName(fn) === "registryRefresh");
    expect(await cloud.aws.invoke(String(refresh?.outputs.name), {})).toEqual({ expiresAt: expect.any(String) });
    const [alarm] = resources("aws:cloudwatch/metricAlarm:MetricAlarm");
    expect(alarm?.outputs).toMatchObject({ metricName: "Errors", dimensions: { FunctionName: refresh?.outputs.name } });
    const schedules = resources("aws:scheduler/schedule:Schedule").map(({ outputs }) => outputs.scheduleExpression);
    expect(schedules).toContain("rate(6 hours)");
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

  it("is evaluated without a search through all installed packages", async () => {
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
    await up(engineOptions(cloud, programDir, dir, { "phi3.weights": "cached" }));
    const [args] = resources("docker-build:index:Image").filter(({ outputs: { buildArgs } }) => {
      const { MODEL_ID, WEIGHTS } = buildArgs as Record<string, string>;
      return MODEL_ID === modelFacts.phi3.huggingFaceId && WEIGHTS === "cached";
    });
    expect(args).toBeDefined();
    const { endpoints } = JSON.parse(readFileSync(join(dir, "runpod", "account.json"), "utf8"));
    const references = Object.values<{ name: string; modelReferences?: string[] }>(endpoints).map(
      ({ name, modelReferences }) => [name, modelReferences ?? []],
    );
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
    expect(JSON.parse(readFileSync(join(dir, "runpod", "account.json"), "utf8"))).toMatchObject({ endpoints: {} });
    expect(cloud.stripe?.account.webhookEndpoints()).toEqual([]);
  });
});
