import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bedrockApi } from "../../../../local/aws/inspection/bedrock";
import { Events } from "../../../../local/support/events";
import { type Listening, serve } from "../../../../local/support/http";
import { startVipServers, type VipServers } from "../../../../local/vip/vip";
import { checkBedrock } from "../../../../ops/doctor/providers/bedrock";
import { checkModel, judgeModel } from "../../../../ops/doctor/providers/models";

const offered = { anthropic: ["claude-a"], openai: ["gpt-a"], huggingface: ["org/model-a"] };
const account = () => {
  throw new Error("These tests send no chat to Bedrock.");
};
let servers: VipServers;
beforeAll(async () => {
  servers = await startVipServers(new Events(), account, offered);
});
afterAll(() => servers.close());

describe.each(["anthropic", "openai", "huggingface"] as const)("checkModel of %s", (name) => {
  const check = (model: string, baseUrl = servers.urls[name]) =>
    checkModel({ name, model, key: "canary-key", baseUrl, timeoutMs: 2_000 });

  it("accepts a model that the provider offers", async () => {
    const [model = ""] = offered[name];
    expect(await check(model)).toEqual({ name: `${name} model`, status: "ok", seen: model, todo: "" });
  });

  it("reports a model that the provider does not offer any more", async () => {
    expect(await check("org/model-old")).toMatchObject({
      status: "failed",
      seen: expect.stringContaining(`${name} does not offer org/model-old`),
      todo: expect.stringContaining(`vip.${name}.model`),
    });
  });

  it.each([401, 403])("reports a key that the provider refuses with %i, without showing the key", async (status) => {
    const server = await serve("provider", 0, () => Response.json({ error: { message: "canary-key" } }, { status }));
    try {
      const found = await check("claude-a", server.url);
      expect(found).toMatchObject({ status: "failed", seen: expect.stringContaining("refuses the key") });
      expect(JSON.stringify(found)).not.toContain("canary");
    } finally {
      await server.close();
    }
  });

  it("reports unknown when the provider does not answer", async () => {
    expect(await check("claude-a", "http://127.0.0.1:9")).toMatchObject({ status: "unknown" });
  });
});

it("checkModel finds a Hugging Face model whose name ends with a partner", async () => {
  const baseUrl = servers.urls.huggingface;
  const access = { name: "huggingface", model: "org/model-a:groq", key: "k", baseUrl, timeoutMs: 2_000 } as const;
  expect(await checkModel(access)).toMatchObject({ status: "ok" });
});

describe("checkBedrock", () => {
  let bedrock: Listening;
  beforeAll(async () => {
    const profiles = { "jp.anthropic.claude-a": "ACTIVE", "us.anthropic.claude-b": "LEGACY" } as const;
    bedrock = await serve("Bedrock", 0, bedrockApi({ profiles }).fetch);
  });
  afterAll(() => bedrock.close());
  const check = (model: string, url = bedrock.url) => {
    const endpoints = { inspection: url, dynamodb: "", ssm: "", ecr: "", lambda: "", cognito: "" };
    const credentials = { accessKeyId: "x", secretAccessKey: "x" };
    return checkBedrock(model, undefined, { region: "ap-northeast-1", endpoints, credentials });
  };

  it("accepts an active inference profile", async () => {
    expect(await check("jp.anthropic.claude-a")).toMatchObject({ name: "bedrock model", status: "ok" });
  });

  it("warns about a model that AWS will retire", async () => {
    expect(await check("us.anthropic.claude-b")).toMatchObject({
      status: "warning",
      seen: expect.stringContaining("will retire"),
    });
  });

  it("reports an inference profile that Bedrock does not offer", async () => {
    expect(await check("jp.anthropic.claude-old")).toMatchObject({ status: "failed" });
  });

  it("throws when Bedrock cannot be read, so that the report says unknown", async () => {
    await expect(check("jp.anthropic.claude-a", "http://127.0.0.1:9")).rejects.toThrow();
  });
});

it("judgeModel names the secret to replace when a provider refuses the key", () => {
  expect(judgeModel("huggingface", "m", "refused").todo).toContain("pulumi config set --secret huggingfaceToken");
});
