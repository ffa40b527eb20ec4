import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { metricAlarms } from "../../../../infra/alarms";
import { MetricStore } from "../../../../local/aws/cloudwatch/metricStore";
import { accessKeyOf } from "../../../../local/aws/iam/callers";
import { startInspection } from "../../../../local/aws/inspection/server";
import { createSesAccount } from "../../../../local/aws/inspection/ses";
import { startLambdaApi } from "../../../../local/aws/lambda/api";
import { startSsm } from "../../../../local/aws/ssm";
import { AwsAccount } from "../../../../local/aws/support/account";
import { Events } from "../../../../local/support/events";
import type { Listening } from "../../../../local/support/http";
import { stackNames } from "../../../../names";
import { awsTodo } from "../../../../ops/awsTodo";
import { checkAlarms } from "../../../../ops/doctor/aws/alarms";
import { checkConcurrency, judgeConcurrency } from "../../../../ops/doctor/aws/concurrency";
import { checkFailedRuns } from "../../../../ops/doctor/aws/failedRuns";
import { readApiUrl, readRelayUrl } from "../../../../ops/doctor/aws/http";
import { checkRegistryToken } from "../../../../ops/doctor/aws/registryToken";
import { checkEmail } from "../../../../ops/doctor/aws/signInEmail";
import { findStackResources } from "../../../../ops/doctor/aws/stackResources";
import type { Aws } from "../../../../ops/doctor/awsClient";
import { attempt } from "../../../../ops/doctor/check";

// These checks read a separate account. Each test sets its state.
const dir = mkdtempSync(join(tmpdir(), "snack-doctor-aws-"));
const account = new AwsAccount(join(dir, "account.db"), "ap-northeast-1");
const failing = new Set<string>();
const messages: unknown[] = [];
const services: Listening[] = [];
let aws: Aws;
beforeAll(async () => {
  const events = new Events();
  const unused = () => Promise.reject(new Error("no functions"));
  const stateOf = (name: string) => (failing.has(name) ? ("ALARM" as const) : ("OK" as const));
  const [inspection, ssm, lambda] = await Promise.all([
    startInspection({
      account,
      events,
      cloudwatch: { stateOf, changedAtMs: () => 0, metrics: new MetricStore(), linesOf: () => [] },
      messages: () => messages,
      ses: createSesAccount(),
      bedrock: { profiles: {} },
    }),
    startSsm(account, events),
    startLambdaApi({ account, events, port: 0, concurrencyLimit: 10, invoke: unused, accept: unused }),
  ]);
  services.push(inspection, ssm, lambda);
  const endpoints = {
    inspection: inspection.url,
    ssm: ssm.url,
    lambda: lambda.url,
    dynamodb: "",
    ecr: "",
    cognito: "",
  };
  aws = { region: "ap-northeast-1", endpoints, credentials: { accessKeyId: "x", secretAccessKey: "x" } };
});
afterAll(async () => {
  for (const service of services) await service.close();
  account.close();
  rmSync(dir, { recursive: true });
});
afterEach(() => {
  failing.clear();
  messages.length = 0;
});

function put(type: string, id: string, outputs: Record<string, unknown>, stack = "dev"): void {
  const tagsAll = { project: "snack-misaki", stack };
  account.put({ type, id, inputs: {}, outputs: { name: id, tagsAll, ...outputs } });
}

it("findStackResources reads all pages, and returns no resource of another stack", async () => {
  for (let index = 0; index < 120; index++) {
    const arn = account.arn("dynamodb", `table/t-${index}`);
    put("aws:dynamodb/table:Table", `t-${index}`, { arn }, index < 110 ? "many" : "other");
  }
  const { tables, functions } = await findStackResources("many", aws);
  expect([tables.length, new Set(tables).size, functions]).toEqual([110, 110, []]);
});

it("checkAlarms splits many alarms over several calls, and reports the firing alarm", async () => {
  const settings = { hourlyUsd: 5 };
  const names = metricAlarms(settings).map(({ name }) => `snack-misaki-dev-${name}-0123abc`);
  const others = Array.from({ length: 60 }, (_, index) => `snack-misaki-dev-other-${index}`);
  const composite = "snack-misaki-dev-customers-cannot-chat";
  for (const name of [...others, ...names]) {
    const alarmDescription = `Something fails. First: look Runbook: docs/operations.md#x`;
    put("aws:cloudwatch/metricAlarm:MetricAlarm", name, { alarmActions: ["arn:aws:sns:x"], alarmDescription });
  }
  put("aws:cloudwatch/compositeAlarm:CompositeAlarm", composite, { alarmActions: ["arn:aws:sns:x"] });
  const check = () => checkAlarms([...others, ...names, composite], { stack: "dev", settings, needsEcr: true }, aws);
  expect(await check()).toMatchObject([{ name: "alarms", status: "ok" }]);
  failing.add("snack-misaki-dev-api-5xx-0123abc");
  expect(await check()).toEqual([
    {
      name: "alarm api-5xx",
      status: "warning",
      seen: "fires now: Something fails.",
      todo: "look Runbook: docs/operations.md#x",
    },
  ]);
});

it("readApiUrl and readRelayUrl return the configured domain, because AWS's default address then answers 404", async () => {
  const endpoint = "https://a1.execute-api.ap-northeast-1.amazonaws.com";
  put("aws:apigatewayv2/api:Api", "a1", { apiEndpoint: endpoint });
  expect(await readApiUrl(["a1"], undefined, aws)).toBe(endpoint);
  expect(await readApiUrl(["a1"], "api.example.com", aws)).toBe("https://api.example.com");
  expect(await readApiUrl(["a2"], "api.example.com", aws)).toBeUndefined();
  const relay = stackNames("dev").functions.relay;
  put("aws:lambda/function:Function", relay, {});
  put("aws:lambda/functionUrl:FunctionUrl", relay, { functionName: relay, functionUrl: "https://f1.example/" });
  expect(await readRelayUrl("dev", undefined, aws)).toBe("https://f1.example");
  expect(await readRelayUrl("dev", "relay.example.com", aws)).toBe("https://relay.example.com");
  expect(await readRelayUrl("other", "relay.example.com", aws)).toBeUndefined();
});

it("checkFailedRuns counts the messages of the queue", async () => {
  const url = "https://sqs.ap-northeast-1.amazonaws.com/000000000000/failed";
  put("aws:sqs/queue:Queue", url, { name: "failed", url, arn: account.arn("sqs", "failed") });
  expect(await checkFailedRuns(["failed"], "dev", aws)).toMatchObject({ status: "ok" });
  messages.push({}, {});
  expect(await checkFailedRuns(["failed"], "dev", aws)).toMatchObject({
    status: "warning",
    seen: "2 failed renewals of the registry token are in the queue",
    todo: expect.stringMatching(/aws lambda invoke --function-name snack-misaki-dev-registryRefresh .*purge the queue/),
  });
  expect(await checkFailedRuns([], "dev", aws)).toMatchObject({ status: "failed" });
});

describe("checkRegistryToken", () => {
  const { registryTokenExpiry } = stackNames("dev").parameters;
  const renewed = (hoursAgo: number) => {
    const value = new Date(Date.now() + (12 - hoursAgo) * 3_600_000).toISOString();
    put("aws:ssm/parameter:Parameter", registryTokenExpiry, { type: "String", value, version: 1 });
  };
  it.each([
    [0, "ok", /^renewed 0\.0 hours ago, valid for 12\.0 more hours$/],
    [8, "warning", /^renewed 8\.0 hours ago, expires in 4\.0 hours$/],
    [15, "failed", /^it expired 3\.0 hours ago: no new worker can pull an image$/],
  ] as const)("reports a token that was renewed %i hours ago as %s", async (hoursAgo, status, seen) => {
    renewed(hoursAgo);
    expect(await checkRegistryToken("dev", aws)).toMatchObject({ status, seen: expect.stringMatching(seen) });
  });

  it("reports a token that was never renewed", async () => {
    account.delete("aws:ssm/parameter:Parameter", registryTokenExpiry);
    expect(await checkRegistryToken("dev", aws)).toMatchObject({
      status: "failed",
      seen: expect.stringMatching(/^it was never renewed/),
      todo: 'Run "pulumi up".',
    });
  });
});

it("checkConcurrency reports the low concurrency limit of a new account", async () => {
  expect(await checkConcurrency(50, aws)).toMatchObject({
    status: "failed",
    seen: expect.stringMatching(/^10 executions .*relay\.concurrency 50 needs 150: AWS refuses the reservation$/),
  });
  expect(await checkConcurrency(-1, aws)).toMatchObject({ status: "warning" });
  expect(judgeConcurrency(1_000, 50)).toMatchObject({ status: "ok" });
});

it("checkEmail warns about Cognito's limit of about 50 e-mails a day when auth.email is not set", () => {
  expect(checkEmail({ domainPrefix: "x" })).toMatchObject({
    status: "warning",
    seen: expect.stringContaining("50 e-mails"),
  });
  const email = { identityArn: "arn:aws:ses:us-east-1:1:identity/example.com", from: "mama@example.com" };
  expect(checkEmail({ domainPrefix: "x", email })).toMatchObject({ status: "ok" });
});

it("attempt names the denied service and the next step when a role lacks the permission", async () => {
  put("aws:iam/role:Role", "role", { arn: "arn:aws:iam::000000000000:role/role" });
  const credentials = { accessKeyId: accessKeyOf("arn:aws:iam::000000000000:role/role"), secretAccessKey: "x" };
  const find = async () => {
    await findStackResources("dev", { ...aws, credentials });
    return [];
  };
  expect(await attempt("AWS", awsTodo, find)).toEqual([
    {
      name: "AWS",
      status: "unknown",
      seen: expect.stringMatching(/^cannot be read: .*is not authorized to perform: tagging/),
      todo: expect.stringMatching(/^Allow your AWS user tagging/),
    },
  ]);
});

it.each([
  ["CredentialsProviderError", "Could not load credentials from any providers", /^Sign in to AWS/],
  ["ExpiredTokenException", "The security token included in the request is expired", /^Sign in to AWS/],
  ["UnrecognizedClientException", "The security token included in the request is invalid.", /^Sign in .* Region/],
  ["SignatureDoesNotMatch", "Signature expired: 20261127T180000Z is now earlier than", /^Check .* clock/],
  ["TooManyRequestsException", "Rate exceeded", /wait a minute/],
  ["TimeoutError", "connection timed out", /^Check aws:region .* network/],
  ["Error", "getaddrinfo ENOTFOUND lambda.ap-northeast-9.amazonaws.com", /^Check aws:region .* network/],
])("awsTodo names the next step after %s", (name, message, todo) => {
  expect(awsTodo(Object.assign(new Error(message), { name }))).toMatch(todo);
});
