import { DynamoDBClient, GetItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { describe, expect, it } from "vitest";
import { serve } from "../../../local/support/http";
import { code, startTestCloud } from "./fixture";

const API = "aws:apigatewayv2/api:Api";
const STAGE = "aws:apigatewayv2/stage:Stage";
const TABLE = "aws:dynamodb/table:Table";
const FUNCTION = "aws:lambda/function:Function";
const credentials = { accessKeyId: "x", secretAccessKey: "x" };
const users = {
  hashKey: "user_id",
  attributes: [{ name: "user_id", type: "S" }],
  billingMode: "PAY_PER_REQUEST",
};
const lambda = { role: "arn:aws:iam::000000000000:role/r", handler: "__index.handler", runtime: "nodejs24.x" };

function dynamodbAt(endpoint: string) {
  return new DynamoDBClient({ endpoint, region: "us-east-1", credentials, maxAttempts: 1 });
}

describe("Restart", () => {
  it("keeps the tables, the functions and the port of each API", async () => {
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

  it("moves an API to a free port when its port is in use, and shows the new endpoint as drift", async () => {
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

  it("moves an API into the configured port range when its earlier port is outside the range", async () => {
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
