import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { DynamoDBClient, GetItemCommand, PutItemCommand, ResourceNotFoundException } from "@aws-sdk/client-dynamodb";
import { GetParameterCommand, GetParametersCommand, ParameterNotFound, SSMClient } from "@aws-sdk/client-ssm";
import { describe, expect, it } from "vitest";
import type { CloudEvent } from "../../../local/support/events";
import { serve } from "../../../local/support/http";
import { archive, asset, code, secret, startTestCloud } from "./client";

const API = "aws:apigatewayv2/api:Api";
const STAGE = "aws:apigatewayv2/stage:Stage";
const TABLE = "aws:dynamodb/table:Table";
const PARAMETER = "aws:ssm/parameter:Parameter";
const FUNCTION = "aws:lambda/function:Function";
const credentials = { accessKeyId: "x", secretAccessKey: "x" };
const users = {
  hashKey: "user_id",
  attributes: [
    { name: "user_id", type: "S" },
    { name: "stripe_customer_id", type: "S" },
  ],
  billingMode: "PAY_PER_REQUEST",
  globalSecondaryIndexes: [{ name: "by_customer", hashKey: "stripe_customer_id", projectionType: "KEYS_ONLY" }],
  pointInTimeRecovery: { enabled: true },
};
const lambda = { role: "arn:aws:iam::000000000000:role/r", handler: "__index.handler", runtime: "nodejs24.x" };

function dynamodbAt(endpoint: string) {
  return new DynamoDBClient({ endpoint, region: "us-east-1", credentials, maxAttempts: 1 });
}

describe("DynamoDB", () => {
  it("is a real table for the real SDK, and is gone with its resource", async () => {
    await using cloud = await startTestCloud();
    const client = dynamodbAt(cloud.aws.endpoints.dynamodb);
    const table = await cloud.engine.create(TABLE, "users", users);
    expect(table.outputs).toMatchObject({
      arn: `arn:aws:dynamodb:us-east-1:000000000000:table/${table.id}`,
      name: table.id,
    });
    const Key = { user_id: { S: "u1" } };
    await client.send(new PutItemCommand({ TableName: table.id, Item: { ...Key, plan: { S: "vip" } } }));
    const { Item } = await client.send(new GetItemCommand({ TableName: table.id, Key, ConsistentRead: true }));
    expect(Item?.plan).toEqual({ S: "vip" });
    await cloud.engine.delete(table);
    await expect(client.send(new GetItemCommand({ TableName: table.id, Key }))).rejects.toThrow(
      ResourceNotFoundException,
    );
    client.destroy();
  });

  it("refuses to delete a protected table", async () => {
    await using cloud = await startTestCloud();
    const table = await cloud.engine.create(TABLE, "users", { ...users, deletionProtectionEnabled: true });
    await expect(cloud.engine.delete(table)).rejects.toThrow(/protected against deletion/);
    await cloud.engine.delete(await cloud.engine.update(table, { ...users, deletionProtectionEnabled: false }));
    expect(cloud.aws.account.list(TABLE)).toEqual([]);
  });

  it("is replaced when its key changes", async () => {
    await using cloud = await startTestCloud();
    const table = await cloud.engine.create(TABLE, "users", users);
    const found = await cloud.engine.diff(table, { ...users, hashKey: "stripe_customer_id" });
    expect(found.replaces).toEqual(["hashKey"]);
  });
});

describe("Parameter Store", () => {
  it("answers the real SDK, errors included", async () => {
    await using cloud = await startTestCloud();
    const client = new SSMClient({
      endpoint: cloud.aws.endpoints.ssm,
      region: "us-east-1",
      credentials,
      maxAttempts: 1,
    });
    await cloud.engine.create(PARAMETER, "key", { type: "SecureString", name: "/snack/key", value: secret("canary") });

    const sealed = await client.send(new GetParameterCommand({ Name: "/snack/key" }));
    expect(sealed.Parameter).toMatchObject({ Type: "SecureString", Version: 1 });
    expect(sealed.Parameter?.Value).not.toContain("canary");
    const open = await client.send(new GetParameterCommand({ Name: "/snack/key", WithDecryption: true }));
    expect(open.Parameter?.Value).toBe("canary");
    const both = await client.send(
      new GetParametersCommand({ Names: ["/snack/key", "/snack/none"], WithDecryption: true }),
    );
    expect(both.Parameters?.map((one) => one.Value)).toEqual(["canary"]);
    expect(both.InvalidParameters).toEqual(["/snack/none"]);
    await expect(client.send(new GetParameterCommand({ Name: "/snack/none" }))).rejects.toThrow(ParameterNotFound);
    client.destroy();
  });
});

describe("Lambda", () => {
  it("runs the archive with Lambda's environment and nothing of this process's", async () => {
    await using cloud = await startTestCloud({
      extraEnv: () => ({ AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER: "http://idp" }),
    });
    const handler = `exports.handler = async (event, context) => ({
      event, env: process.env, name: context.functionName, left: context.getRemainingTimeInMillis() > 0,
      library: require("./lib/greet.cjs"), flags: process.execArgv })`;
    const assets = {
      "__index.js": asset({ text: handler }),
      "lib/greet.cjs": asset({ text: "module.exports = 'kanpai'" }),
    };
    const inputs = {
      ...lambda,
      memorySize: 256,
      environment: { variables: { TABLE: "t" } },
      code: archive({ assets }),
    };
    const fn = await cloud.engine.create(FUNCTION, "session", inputs);
    const result = await cloud.aws.invoke(String(fn.outputs.arn), { hello: "ママ" });
    expect(result).toMatchObject({ event: { hello: "ママ" }, name: fn.id, left: true, library: "kanpai" });
    const { env, flags } = result as { env: Record<string, string>; flags: string[] };
    expect(env).toMatchObject({
      AWS_REGION: "us-east-1",
      AWS_LAMBDA_FUNCTION_NAME: fn.id,
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "256",
      AWS_ENDPOINT_URL_DYNAMODB: cloud.aws.endpoints.dynamodb,
      AWS_ENDPOINT_URL_SSM: cloud.aws.endpoints.ssm,
      AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER: "http://idp",
      TABLE: "t",
    });
    for (const foreign of ["PATH", "HOME", "NODE_OPTIONS", "VITEST"]) expect(env).not.toHaveProperty(foreign);
    expect(flags).toContain("--no-experimental-require-module");
  });

  it("cannot require an ESM-only dependency, as on AWS", async () => {
    await using cloud = await startTestCloud();
    const assets = {
      "__index.js": asset({ text: "exports.handler = async () => require('./esm.mjs').default" }),
      "esm.mjs": asset({ text: "export default 1" }),
    };
    const fn = await cloud.engine.create(FUNCTION, "esm", { ...lambda, code: archive({ assets }) });
    await expect(cloud.aws.invoke(fn.id, {})).rejects.toMatchObject({
      payload: { errorMessage: expect.stringContaining("ES Module") },
    });
  });

  it("stays warm, runs several at once, and starts afresh with new code or configuration", async () => {
    await using cloud = await startTestCloud();
    const counter = (version: string) =>
      code(
        `let n = 0; exports.handler = async () => { const mine = ++n; await new Promise(r => setTimeout(r, 30)); return "${version}" + mine + process.env.MODE }`,
      );
    const fn = await cloud.engine.create(FUNCTION, "warm", { ...lambda, timeout: 10, code: counter("a") });
    expect(await cloud.aws.invoke(fn.id, {})).toBe("a1undefined");
    expect(await cloud.aws.invoke(fn.id, {})).toBe("a2undefined");
    const many = await Promise.all(Array.from({ length: 12 }, () => cloud.aws.invoke(fn.id, {})));
    expect(many).toHaveLength(12);
    // The warm one went on counting, and others began beside it, no more than there may be.
    expect(many).toContain("a3undefined");
    const begun = many.filter((one) => one === "a1undefined").length;
    expect(begun).toBeGreaterThan(0);
    expect(begun).toBeLessThan(4);
    const changed = await cloud.engine.update(fn, { ...lambda, timeout: 10, code: counter("b") });
    expect(changed.outputs.sourceCodeHash).not.toBe(fn.outputs.sourceCodeHash);
    expect(await cloud.aws.invoke(fn.id, {})).toBe("b1undefined");
    await cloud.engine.update(changed, {
      ...lambda,
      timeout: 10,
      environment: { variables: { MODE: "x" } },
      code: counter("b"),
    });
    expect(await cloud.aws.invoke(fn.id, {})).toBe("b1x");
  });

  it.each([
    ["a throw", "exports.handler = async () => { throw new TypeError('no sake') }", "TypeError", /no sake/],
    [
      "an unhandled rejection",
      "exports.handler = () => { Promise.reject(new Error('spilled')); return new Promise(() => {}) }",
      "Runtime.Error",
      /spilled/,
    ],
    ["an exit", "exports.handler = () => process.exit(3)", "Runtime.ExitError", /code 3/],
    [
      "running out of time",
      "exports.handler = () => { for (;;) {} }",
      "Sandbox.Timedout",
      /timed out after 1\.00 seconds/,
    ],
    ["a missing handler", "exports.other = 1", "Runtime.HandlerNotFound", /__index\.handler/],
  ])("answers %s with Lambda's error, and the next event is served", async (_what, broken, errorType, message) => {
    await using cloud = await startTestCloud();
    const fn = await cloud.engine.create(FUNCTION, "broken", { ...lambda, timeout: 1, code: code(broken) });
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(cloud.aws.invoke(fn.id, {})).rejects.toMatchObject({
        payload: { errorType, errorMessage: expect.stringMatching(message) },
      });
    }
    const repaired = await cloud.engine.update(fn, {
      ...lambda,
      timeout: 9,
      code: code("exports.handler = async () => 'ok'"),
    });
    expect(await cloud.aws.invoke(repaired.id, {})).toBe("ok");
  });

  it("shows a function's console lines as events", async () => {
    await using cloud = await startTestCloud();
    const seen = new Promise<CloudEvent>((resolve) => {
      cloud.events.subscribe((event) => event.summary.endsWith("kanpai") && resolve(event));
    });
    const fn = await cloud.engine.create(FUNCTION, "loud", {
      ...lambda,
      code: code("exports.handler = async () => { console.log('kanpai') }"),
    });
    await cloud.aws.invoke(fn.id, {});
    expect(await seen).toMatchObject({ source: "lambda", summary: `${fn.id} kanpai` });
  });

  it("deletes the unpacked package with the function", async () => {
    await using cloud = await startTestCloud();
    const fn = await cloud.engine.create(FUNCTION, "gone", {
      ...lambda,
      code: code("exports.handler = async () => 1"),
    });
    expect(await readdir(join(cloud.dir, "functions"))).toEqual([fn.id]);
    await cloud.engine.delete(fn);
    expect(await readdir(join(cloud.dir, "functions"))).toEqual([]);
    await expect(cloud.aws.invoke(fn.id, {})).rejects.toThrow(/Function not found/);
  });

  it("forgets the packages of earlier code at the next start", async () => {
    await using first = await startTestCloud();
    const version = (n: number) => ({ ...lambda, code: code(`exports.handler = async () => ${n}`) });
    const fn = await first.engine.create(FUNCTION, "renewed", version(1));
    await first.engine.update(fn, version(2));
    const packages = () => readdir(join(first.dir, "functions", fn.id));
    expect(await packages()).toHaveLength(2);
    await first.stop();

    const second = await startTestCloud({ dir: first.dir });
    expect(await packages()).toEqual([second.aws.account.get(FUNCTION, fn.id)?.outputs.sourceCodeHash]);
    expect(await second.aws.invoke(fn.id, {})).toBe(2);
    await second.stop();
  });

  it("refuses an archive whose entries leave the package", async () => {
    await using cloud = await startTestCloud();
    const escaping = archive({ assets: { "../../evil.js": asset({ text: "" }) } });
    await expect(cloud.engine.create(FUNCTION, "evil", { ...lambda, code: escaping })).rejects.toThrow(
      /outside the package/,
    );
    expect(cloud.aws.account.list(FUNCTION)).toEqual([]);
  });
});

describe("a restart", () => {
  it("finds tables with their rows, parameters, functions, and APIs on their ports", async () => {
    await using first = await startTestCloud();
    const { engine } = first;
    const table = await engine.create(TABLE, "users", users);
    const fn = await engine.create(FUNCTION, "hello", { ...lambda, code: code("exports.handler = async () => 'yo'") });
    const api = await engine.create(API, "api", { protocolType: "HTTP" });
    const before = dynamodbAt(first.aws.endpoints.dynamodb);
    await before.send(new PutItemCommand({ TableName: table.id, Item: { user_id: { S: "u1" } } }));
    before.destroy();
    await first.stop();
    await expect(fetch(String(api.outputs.apiEndpoint))).rejects.toThrow();

    const second = await startTestCloud({ dir: first.dir });
    const after = dynamodbAt(second.aws.endpoints.dynamodb);
    const { Item } = await after.send(new GetItemCommand({ TableName: table.id, Key: { user_id: { S: "u1" } } }));
    expect(Item?.user_id).toEqual({ S: "u1" });
    expect(await second.aws.invoke(fn.id, {})).toBe("yo");
    expect((await fetch(String(api.outputs.apiEndpoint))).status).toBe(404);
    expect((await second.engine.diff(fn, { ...lambda, code: code("exports.handler = async () => 'yo'") })).some).toBe(
      false,
    );
    after.destroy();
    await second.stop();
  });

  it("moves an API whose port is taken, where free ports are asked for, and tells the engine", async () => {
    await using first = await startTestCloud();
    const inputs = { protocolType: "HTTP" };
    const api = await first.engine.create(API, "api", inputs);
    const stages = ["$default", "beta"].map((name) => ({ apiId: api.id, name }));
    const [root, beta] = [
      await first.engine.create(STAGE, "root", { ...stages[0] }),
      await first.engine.create(STAGE, "beta", { ...stages[1] }),
    ];
    const { port } = new URL(String(api.outputs.apiEndpoint));
    await first.stop();
    const other = await serve("another", Number(port), () => new Response("another"));

    await expect(startTestCloud({ dir: first.dir, apiPorts: Number(port) })).rejects.toThrow(
      `Port ${port} (HTTP API) is in use`,
    );
    await using second = await startTestCloud({ dir: first.dir });
    expect((await second.engine.diff(api, inputs)).diffs).toEqual(["apiEndpoint"]);
    const { apiEndpoint } = (await second.engine.update(api, inputs)).outputs;
    expect(apiEndpoint).not.toBe(api.outputs.apiEndpoint);
    expect(await (await fetch(String(apiEndpoint))).json()).toEqual({ message: "Not Found" });
    expect((await second.engine.update(root, { ...stages[0] })).outputs.invokeUrl).toBe(`${apiEndpoint}/`);
    expect((await second.engine.update(beta, { ...stages[1] })).outputs.invokeUrl).toBe(`${apiEndpoint}/beta`);
    expect((await second.engine.diff(beta, { ...stages[1] })).diffs).toEqual(["invokeUrl"]);
    await other.close();
  });

  it("moves an API back to the ports it may have, when free ports are no longer asked for", async () => {
    await using first = await startTestCloud();
    const api = await first.engine.create(API, "api", { protocolType: "HTTP" });
    await first.stop();
    const from = 4310;
    await using second = await startTestCloud({ dir: first.dir, apiPorts: from });
    const { apiEndpoint } = (await second.engine.update(api, { protocolType: "HTTP" })).outputs;
    const port = Number(new URL(String(apiEndpoint)).port);
    expect(port).toBeGreaterThanOrEqual(from);
    expect(port).toBeLessThan(from + 100);
    expect(await (await fetch(String(apiEndpoint))).json()).toEqual({ message: "Not Found" });
  });
});
