import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { AwsResource } from "../../../local/aws/support/account";
import { stackNames } from "../../../names";
import { findResources } from "../../../ops/doctor/aws/examineAws";
import type { Check } from "../../../ops/doctor/check";
import { examine } from "../../../ops/doctor/examine";
import { loadTarget, type Target } from "../../../ops/doctor/target";
import { type SuiteCloud, suiteCloud } from "../../suiteCloud";

let shared: SuiteCloud;
let target: Target;
beforeAll(async () => {
  shared = await suiteCloud();
  target = await loadTarget("start", { programDir: shared.programDir, dir: shared.dir }, {});
});

/** Returns the checks with a problem. Ignores the alarms' subscribers, because the stack of npm start has none. */
async function problems(changed: Partial<Target> = {}): Promise<Check[]> {
  const checks = await examine({ ...target, ...changed }, { timeoutMs: 5_000, logMs: 200 });
  for (const { name, status, todo } of checks) expect([name, todo !== ""]).toEqual([name, status !== "ok"]);
  return checks.filter(({ name, status }) => status !== "ok" && name !== "alarm subscribers");
}

/** Changes a resource's outputs in the account until the test ends, like a change in AWS's console. */
function change(type: string, isChanged: (resource: AwsResource) => boolean, outputs: Record<string, unknown>): void {
  const { account } = shared.cloud.aws;
  const found = account.list(type).find(isChanged);
  if (!found) throw new Error(`The account has no such ${type}`);
  onTestFinished(() => account.put(found));
  account.put({ ...found, outputs: { ...found.outputs, ...outputs } });
}

/** Removes a resource from the account until the test ends. */
function remove(type: string, isRemoved: (resource: AwsResource) => boolean): void {
  const { account } = shared.cloud.aws;
  const found = account.list(type).find(isRemoved);
  if (!found) throw new Error(`The account has no such ${type}`);
  onTestFinished(() => account.put(found));
  account.delete(type, found.id, found.scope);
}

const line = (name: string, status: Check["status"], seen: RegExp, todo = /^/) =>
  expect.objectContaining({ name, status, seen: expect.stringMatching(seen), todo: expect.stringMatching(todo) });
const is = (start: string) => (resource: AwsResource) => resource.id.includes(`-${start}-`);
const any = () => true;

it("examine finds no problem in a healthy stack", async () => {
  expect(await problems()).toEqual([]);
});

describe("examine reports a change in AWS's console", () => {
  it.each([
    [
      "point-in-time recovery of the users table",
      "aws:dynamodb/table:Table",
      is("users"),
      { pointInTimeRecovery: { enabled: false } },
      line("users table", "warning", /no point-in-time recovery/),
    ],
    [
      "deletion protection of the users table",
      "aws:dynamodb/table:Table",
      is("users"),
      { deletionProtectionEnabled: true },
      line("users table", "warning", /is on, configured off/),
    ],
    [
      "the callback URLs of the client",
      "aws:cognito/userPoolClient:UserPoolClient",
      any,
      { callbackUrls: ["https://old.example/"] },
      line("sign-in URLs", "failed", /the callback URL http:\/\/localhost:\d+\/callback is missing/),
    ],
    [
      "the sender of the user pool's e-mail",
      "aws:cognito/userPool:UserPool",
      any,
      { emailConfiguration: { emailSendingAccount: "COGNITO_DEFAULT" } },
      line("user pool e-mail", "warning", /Cognito itself/),
    ],
    [
      "the origins of the API",
      "aws:apigatewayv2/api:Api",
      any,
      { corsConfiguration: { allowOrigins: ["https://old.example"], allowMethods: ["POST"] } },
      line("API CORS", "failed", /http:\/\/localhost:5173: allows no origin/),
    ],
    [
      "the origins of the relay",
      "aws:lambda/functionUrl:FunctionUrl",
      any,
      { cors: { allowOrigins: ["https://old.example"], allowMethods: ["POST"] } },
      line("relay CORS", "failed", /http:\/\/localhost:5173/),
    ],
    [
      "the messages of an alarm",
      "aws:cloudwatch/metricAlarm:MetricAlarm",
      is("api-5xx"),
      { actionsEnabled: false },
      line("alarms", "warning", /turned off the messages of api-5xx$/),
    ],
  ])("to %s", async (_what, type, which, outputs, expected) => {
    change(type, which, outputs);
    expect(await problems()).toEqual([expected]);
  });
});

describe("examine reports a missing resource", () => {
  it.each([
    ["user pool", "aws:cognito/userPool:UserPool", any, line("user pool", "failed", /nobody can sign in/)],
    ["table", "aws:dynamodb/table:Table", is("ephemeral"), line("ephemeral table", "failed", /no such table/)],
    ["alarm", "aws:cloudwatch/metricAlarm:MetricAlarm", is("webhook-lag"), line("alarms", "failed", /webhook-lag$/)],
    ["queue of failed runs", "aws:sqs/queue:Queue", any, line("failed runs", "failed", /no queue/)],
    ["function URL", "aws:lambda/functionUrl:FunctionUrl", any, line("relay", "failed", /AWS does not have it/)],
  ] as const)("%s", async (_what, type, which, expected) => {
    remove(type, which);
    expect(await problems()).toEqual([expected]);
  });
});

describe("examine reports a candidate", () => {
  const image = "2026-12-01";
  const override = {
    share: 0,
    replaces: 25,
    by: "verdict",
    reason: "3 replies break the contract.",
    at: "2026-12-02T03:04:05.000Z",
  };
  const live = { image, url: "https://api.runpod.ai/v2/ep1", share: 25, testers: ["sub-1"], isReady: true };
  const configured = { imageTag: image, share: 25, testers: ["sub-1"], workersMax: 1 };

  it.each([
    ["that nobody gets, because its parameter is missing", configured, undefined, "failed", /AWS has no parameter/],
    ["whose parameter cannot be read", configured, "{}", "failed", /cannot be read/],
    [
      "that was rolled back",
      configured,
      JSON.stringify({ ...live, override }),
      "warning",
      /answers 0 % of the users and 1 tester, configured 25 %, since 2026-12-02T03:04:05\.000Z: 3 replies break the contract\./,
    ],
    ["that is not ready", configured, JSON.stringify({ ...live, isReady: false }), "warning", /none of its workers/],
    ["with another share", { ...configured, share: 5 }, JSON.stringify(live), "warning", /25 %.*, configured 5 %$/],
    ["with another image", { ...configured, imageTag: "v9" }, JSON.stringify(live), "warning", /another image/],
    ["that the configuration does not have", undefined, JSON.stringify(live), "warning", /the configuration has none/],
    ["as configured", configured, JSON.stringify(live), "ok", /^2026-12-01 answers 25 % of the users and 1 tester$/],
  ] as const)("%s", async (_what, candidate, value, status, seen) => {
    const { account } = shared.cloud.aws;
    const id = `${stackNames("start").parameters.candidates}/mistral`;
    if (value !== undefined) {
      const type = "aws:ssm/parameter:Parameter";
      account.put({ type, id, inputs: {}, outputs: { name: id, type: "String", value, version: 1 } });
      onTestFinished(() => account.delete(type, id));
    }
    const mistral = {
      ...target.config.mistral,
      candidate: candidate && { ...candidate, testers: [...candidate.testers] },
    };
    const checks = await examine(
      { ...target, config: { ...target.config, mistral } },
      { timeoutMs: 5_000, logMs: 200 },
    );
    expect(checks.filter(({ name }) => name === "mistral candidate")).toEqual([
      line("mistral candidate", status, seen),
    ]);
  });
});

it("examine reports an unconfirmed e-mail subscriber, and hides a webhook's URL", async () => {
  const { account } = shared.cloud.aws;
  const [topic] = account.list("aws:sns/topic:Topic");
  const subscription = (id: string, outputs: object): AwsResource => ({
    type: "aws:sns/topicSubscription:TopicSubscription",
    id: `${topic?.id}:${id}`,
    inputs: {},
    outputs: { topic: topic?.id, ...outputs },
  });
  const pager = subscription("1", { protocol: "https", endpoint: "https://pager.example/CANARY&1" });
  const mail = subscription("2", { protocol: "email", endpoint: "a@x.jp", pendingConfirmation: true });
  for (const one of [pager, mail]) {
    account.put(one);
    onTestFinished(() => account.delete(one.type, one.id));
  }
  const checks = await examine(target);
  expect(checks).toContainEqual(line("alarm subscribers", "warning", /^a@x\.jp has not confirmed$/));
  expect(JSON.stringify(checks)).not.toContain("CANARY");
});

describe("examine when a service cannot be read", () => {
  const nowhere = "http://127.0.0.1:9";

  it("reports one line for AWS, and checks all other services", async () => {
    const { endpoints } = target.aws;
    if (!endpoints) throw new Error("The local cloud has endpoints");
    const checks = await problems({ aws: { ...target.aws, endpoints: { ...endpoints, inspection: nowhere } } });
    expect(checks).toEqual([
      line("AWS", "failed", /^cannot be read: /),
      line("webhook endpoint", "unknown", /AWS did not return the URL/),
      line("bedrock model", "unknown", /^cannot be read: /),
    ]);
  });

  it("reports one line for AWS when the account has no resource of the stack, and does not advise a repair", async () => {
    const elsewhere = { ...target, config: { ...target.config, stack: "elsewhere" } };
    expect(await findResources(elsewhere)).toEqual({
      unread: {
        name: "AWS",
        status: "failed",
        seen: "the account has no resource with the tags project=snack-misaki, stack=elsewhere in ap-northeast-1",
        todo: expect.stringMatching(
          /right AWS account .*aws:region .*does not exist yet: pulumi up --stack elsewhere$/,
        ),
      },
    });
  });

  it("reports unknown for each part that does not answer, and checks the other parts", async () => {
    const { endpoints } = target.aws;
    if (!endpoints) throw new Error("The local cloud has endpoints");
    const dead = { dynamodb: nowhere, cognito: nowhere, ssm: nowhere };
    const checks = await problems({ aws: { ...target.aws, endpoints: { ...endpoints, ...dead } } });
    expect(checks).toEqual(
      ["user pool", "tables", "candidates", "registry token"].map((name) => line(name, "unknown", /^cannot be read: /)),
    );
  });

  it("accepts a stack that sells nothing, and warns when a stack with prices has no Stripe key", async () => {
    const prices = { paid: [], vip: [] };
    const billing = { ...target.config.billing, prices };
    expect(await problems({ stripeKey: undefined, config: { ...target.config, billing } })).toEqual([]);
    const [line, ...others] = await problems({ stripeKey: undefined });
    expect(line).toMatchObject({ name: "Stripe", status: "warning", todo: expect.stringContaining("stripeApiKey") });
    expect(others).toEqual([]);
  });

  it("reports unknown for Stripe and RunPod without their keys", async () => {
    expect(await problems({ apiKey: undefined, stripeKey: "unread" })).toEqual([
      line("Stripe", "unknown", /is encrypted/, /^Set STRIPE_API_KEY in the environment, or sign in with Pulumi\.$/),
      line(
        "RunPod",
        "unknown",
        /runpodApiKey is not set/,
        /^Run: pulumi config set --secret runpodApiKey --stack start/,
      ),
    ]);
  });

  it("reports unknown for an external LLM without its key", async () => {
    const providers = { ...target.providers, openai: { key: undefined } };
    expect(await problems({ providers })).toEqual([
      line("openai model", "unknown", /the key is not set/, /pulumi config set --secret openaiApiKey --stack start/),
    ]);
  });
});

// These leave lines in a function's log, so they come last.
it("examine reports a function's failed invocations with the newest error of its log", async () => {
  const { aws } = shared.cloud;
  const name = shared.cloud.aws.account.list("aws:lambda/function:Function").find(is("checkout"))?.id ?? "";
  const group = aws.account.get("aws:lambda/function:Function", name)?.outputs.loggingConfig as { logGroup: string };
  const metric = { namespace: "AWS/Lambda", name: "Errors", dimensions: { FunctionName: name } };
  aws.cloudwatch.put(metric, 2);
  aws.cloudwatch.log(
    group.logGroup,
    JSON.stringify({ level: "ERROR", message: { code: "internal", cause: "no luck" } }),
  );
  onTestFinished(() => aws.cloudwatch.put(metric, -2));
  const [problem] = await problems();
  expect(problem).toEqual(
    line("function checkout", "warning", /^failed 2 times in 24 hours\. The last one, 0 min.*no luck/),
  );
  expect(problem?.todo).toContain(`aws logs tail ${group.logGroup}`);
});

it("examine reports the error lines of a function that answers with errors", async () => {
  const { aws } = shared.cloud;
  const name = aws.account.list("aws:lambda/function:Function").find(is("portal"))?.id ?? "";
  const group = aws.account.get("aws:lambda/function:Function", name)?.outputs.loggingConfig as { logGroup: string };
  const message = { route: "portal", code: "unavailable", cause: "Stripe: no answer" };
  for (let line = 0; line < 2; line++) aws.cloudwatch.log(group.logGroup, JSON.stringify({ level: "ERROR", message }));
  const problem = (await problems()).find((check) => check.name === "function portal");
  expect(problem).toEqual(
    line("function portal", "warning", /^wrote 2 error lines in 15 minutes\. The last one, 0 min.*Stripe: no answer/),
  );
});
