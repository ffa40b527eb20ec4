import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { VipProvider } from "../../../../contract/relay";
import { json, type ScriptedServer, startScriptedServer } from "./scriptedServer";
import { chat, createProvider, KEY, readAll, wireFormats } from "./wireFormats";

let server: ScriptedServer;
beforeAll(async () => {
  server = await startScriptedServer();
});
afterAll(() => server.close());

/** Sends one chat and returns the request that arrived. */
async function requestOf(name: VipProvider, env: Record<string, string> = {}, question = chat) {
  server.script = json(500, {});
  const provider = await createProvider(name, { ...wireFormats[name].env(server.url), ...env });
  await readAll(provider.stream(question, new AbortController().signal)).catch(() => {});
  const request = server.requests.at(-1);
  if (!request) throw new Error("The provider sent no request");
  return request;
}
const bodyOf = async (...args: Parameters<typeof requestOf>) => (await requestOf(...args)).body;
const { persona, greeting } = chat.system;

describe("anthropic", () => {
  it("caches the persona but not the greeting, and sends no sampling parameter that the model refuses", async () => {
    const { path, headers, body } = await requestOf("anthropic", { ANTHROPIC_EFFORT: "low" });
    expect(path).toBe("/v1/messages");
    expect(headers.authorization).toBe(`Bearer ${KEY}`);
    expect(body).toEqual({
      model: "claude-sonnet-5-5",
      // 200 tokens for the reply and 1,024 tokens for thinking.
      max_tokens: 1_224,
      messages: chat.messages,
      system: [
        { type: "text", text: persona, cache_control: { type: "ephemeral" } },
        { type: "text", text: greeting },
      ],
      metadata: { user_id: "hash-of-the-user" },
      output_config: { effort: "low" },
      stream: true,
    });
  });

  it("turns thinking off when the effort is none", async () => {
    const body = await bodyOf("anthropic", { ANTHROPIC_EFFORT: "none" });
    expect(body).toMatchObject({ thinking: { type: "disabled" }, max_tokens: 200 });
    expect(body).not.toHaveProperty("output_config");
  });

  it("sends a temperature of at most 1 to a model that accepts a temperature", async () => {
    const body = await bodyOf("anthropic", { ANTHROPIC_MODEL: "claude-sonnet-4-6" });
    expect(body).toMatchObject({ temperature: 1, max_tokens: 200 });
    expect(body).not.toHaveProperty("top_p");
  });

  it("sends no empty block for an empty greeting", async () => {
    const body = await bodyOf("anthropic", {}, { ...chat, system: { persona, greeting: "" } });
    expect(body.system).toHaveLength(1);
  });
});

describe("openai", () => {
  it("requests the usage, and sends the user's hash and one system message", async () => {
    const { path, headers, body } = await requestOf("openai", { OPENAI_EFFORT: "low" });
    expect(path).toBe("/v1/chat/completions");
    expect(headers.authorization).toBe(`Bearer ${KEY}`);
    expect(body).toEqual({
      model: "gpt-6.1-terra",
      messages: [{ role: "system", content: `${persona}\n\n${greeting}` }, ...chat.messages],
      max_completion_tokens: 1_224,
      reasoning_effort: "low",
      prompt_cache_key: "hash-of-the-user",
      safety_identifier: "hash-of-the-user",
      stream: true,
      stream_options: { include_usage: true },
    });
  });

  it("sends temperature and top_p to a thinking model only when the effort is none", async () => {
    const body = await bodyOf("openai", { OPENAI_EFFORT: "none" });
    expect(body).toMatchObject({ reasoning_effort: "none", temperature: 1.3, top_p: 0.9, max_completion_tokens: 200 });
    expect(body).not.toHaveProperty("seed");
  });

  it("sends only common parameters to the unknown model of a compatible server", async () => {
    expect(await bodyOf("openai", { OPENAI_MODEL: "local-model" })).toEqual({
      model: "local-model",
      messages: expect.any(Array),
      max_tokens: 200,
      stream: true,
      stream_options: { include_usage: true },
    });
  });
});

describe("huggingface", () => {
  it("sends max_tokens, the sampling parameters of open models, and no field that only OpenAI knows", async () => {
    const { path, body } = await requestOf("huggingface");
    expect(path).toBe("/v1/chat/completions");
    expect(body).toEqual({
      model: "Qwen/Qwen3-32B-Instruct",
      messages: [{ role: "system", content: `${persona}\n\n${greeting}` }, ...chat.messages],
      max_tokens: 200,
      temperature: 1.3,
      top_p: 0.9,
      seed: 7,
      stream: true,
      stream_options: { include_usage: true },
    });
  });
});

describe("bedrock", () => {
  it("sends a signed request to the profile, with a cache point after the persona", async () => {
    const { path, headers, body } = await requestOf("bedrock", { BEDROCK_EFFORT: "low" });
    expect(path).toBe("/model/jp.anthropic.claude-sonnet-5-5/converse-stream");
    expect(headers.authorization).toMatch(/^AWS4-HMAC-SHA256 .*\/ap-northeast-1\/bedrock\/aws4_request/);
    expect(body).toEqual({
      messages: chat.messages.map(({ role, content }) => ({ role, content: [{ text: content }] })),
      system: [{ text: persona }, { cachePoint: { type: "default" } }, { text: greeting }],
      inferenceConfig: { maxTokens: 1_224 },
      outputConfig: { effort: "low" },
    });
  });

  it("signs with the role even if the environment contains a bearer token", async () => {
    process.env.AWS_BEARER_TOKEN_BEDROCK = "stale-token";
    const { headers } = await requestOf("bedrock");
    delete process.env.AWS_BEARER_TOKEN_BEDROCK;
    expect(headers.authorization).toMatch(/^AWS4-HMAC-SHA256 /);
  });

  it("sends no cache point to a model that does not accept cache points", async () => {
    const body = await bodyOf("bedrock", { BEDROCK_MODEL: "us.meta.llama3-3-70b-instruct-v1:0" });
    expect(body.system).toEqual([{ text: persona }, { text: greeting }]);
    expect(body.inferenceConfig).toEqual({ maxTokens: 200, temperature: 1, topP: 0.9 });
  });

  it("turns the thinking of Claude off when the effort is none", async () => {
    const body = await bodyOf("bedrock", { BEDROCK_EFFORT: "none" });
    expect(body).toMatchObject({
      additionalModelRequestFields: { thinking: { type: "disabled" } },
      inferenceConfig: { maxTokens: 200 },
    });
  });
});
