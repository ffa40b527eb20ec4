import { DynamoDBClient, GetItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { beforeAll, describe, expect, it } from "vitest";
import { chat } from "../../client";
import { errorCodes } from "../../contract/errors";
import { vipProviders } from "../../contract/relay";
import { ephemeralKeys } from "../../functions/tables/ephemeralKeys";
import { localCredentials } from "../../local/cloud/awsEndpoints";
import { walkVip } from "../../local/commands/smokeVip";
import { customerApi } from "../../local/visitor/customer";
import { setVipProviders } from "../../local/visitor/relaySettings";
import { type SuiteCloud, suiteCloud } from "../suiteCloud";
import { needsPython } from "../workerPython";

// Tests the deployed relay: its archive behind the local function URL, with the tables, the workers and the SDKs.
let cloud: SuiteCloud["cloud"];
let outputs: SuiteCloud["outputs"];

beforeAll(async () => {
  ({ cloud, outputs } = await suiteCloud());
});

function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${outputs.relayUrl}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
}

describe("the vip plan", () => {
  it("is answered by each external LLM, survives failures, refuses bad requests and can be cancelled", async () => {
    const result = await walkVip(cloud, outputs, () => {});
    for (const provider of vipProviders) {
      expect(result.vip[provider]).toMatchObject({ provider, text: expect.stringContaining("いらっしゃい") });
      expect(result.vip[provider].usage.prompt_tokens).toBeGreaterThan(500);
    }
    expect(result.fellBackBeforeText).toEqual({ provider: "openai", attempts: 3 });
    expect(result.restarted).toEqual({ provider: "openai", attempts: 2 });
    expect(result.brokenAfterText.characters).toBeGreaterThanOrEqual(200);
    // Without the cancel call, the deadline of the first text would end the chat after 12 s.
    expect(result.cancelledWithinMs).toBeLessThan(10_000);
  });
});

describe("a provider after its cooldown", () => {
  it("answers again, and the relay deletes the cooldown", async () => {
    const { endpoints, account } = cloud.aws;
    const client = new DynamoDBClient({
      endpoint: endpoints.dynamodb,
      region: account.region,
      credentials: localCredentials,
    });
    const tables = account.list("aws:dynamodb/table:Table");
    const TableName = String(tables.find(({ outputs }) => outputs.hashKey === "pk")?.outputs.name);
    const pk = { S: `${ephemeralKeys.cooldown}anthropic#claude-sonnet-5-5` };
    await client.send(new PutItemCommand({ TableName, Item: { pk, end_ms: { N: "1" } } }));
    cloud.vip.faults.clear();
    await setVipProviders(cloud, ["anthropic", "openai"]);
    const session = await (await customerApi("vip", cloud, outputs)).session();
    const items = await Array.fromAsync(chat(session, { text: "こんばんは" }));
    expect(items.at(-1)).toMatchObject({ done: true, provider: "anthropic" });
    await expect
      .poll(async () => (await client.send(new GetItemCommand({ TableName, Key: { pk } }))).Item)
      .toBeUndefined();
    client.destroy();
  });
});

describe("a response of the relay", () => {
  it("has the status, the content type and the code of its error", async () => {
    const response = await post("/chat", { text: "こんばんは" });
    expect([response.status, response.headers.get("content-type")]).toEqual([
      errorCodes.ticket_missing.status,
      "application/json; charset=utf-8",
    ]);
    expect(await response.json()).toMatchObject({ error: { code: "ticket_missing" } });
  });

  it("has one CORS header for an origin of the frontend, and no CORS header for another origin", async () => {
    const allowed = await post("/chat", {}, { origin: "http://localhost:4173" });
    expect(allowed.headers.get("access-control-allow-origin")).toBe("http://localhost:4173");
    const other = await post("/chat", {}, { origin: "https://evil.example" });
    expect(other.headers.get("access-control-allow-origin")).toBeNull();
  });
});

describe("the product's first web frontend", needsPython, () => {
  it("gets a reply without a ticket for both versions of its request", async () => {
    const first = await post("/chat", { message: "こんばんは" });
    const second = await post("/chat", {
      conversation: [
        { role: "assistant", content: "いらっしゃい。" },
        { role: "user", content: "こんばんは" },
      ],
      metadata: { channel: "web", session_id: "1" },
    });
    for (const response of [first, second]) {
      expect(response.status).toBe(200);
      const { reply, message } = (await response.json()) as { reply: string; message: string };
      expect(reply).toContain("いらっしゃい");
      expect(message).toBe(reply);
    }
  });
});
