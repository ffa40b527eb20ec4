import Anthropic from "@anthropic-ai/sdk";
import {
  BedrockRuntimeClient,
  ConverseStreamCommand,
  type ConverseStreamCommandInput,
} from "@aws-sdk/client-bedrock-runtime";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import OpenAI from "openai";
import { afterEach, describe, expect, test } from "vitest";
import { startFaultyProvider } from "../../../verify/failover/faultyProvider";
import { ANTHROPIC_KEY, anthropic } from "../../../verify/failover/wire/anthropic";
import { bedrock } from "../../../verify/failover/wire/bedrock";
import { wholeReply } from "../../../verify/failover/wire/fault";
import type { FaultyServer } from "../../../verify/failover/wire/faultyServer";
import { HUGGINGFACE_TOKEN, huggingface, OPENAI_KEY, openai } from "../../../verify/failover/wire/openai";
import { RUNPOD_KEY, startFaultyRunpod } from "../../../verify/failover/wire/runpod";
import type { Wire } from "../../../verify/failover/wire/wire";

const SCALE = 20;
const servers: FaultyServer[] = [];
afterEach(async () => void (await Promise.all(servers.splice(0).map((server) => server.close()))));

async function start(wire: Wire): Promise<string> {
  const server = await startFaultyProvider({ wire, mark: "桃", scale: SCALE });
  servers.push(server);
  return server.url;
}

/** The error of a refused request, as its SDK reports it. */
async function refusal(request: Promise<unknown>): Promise<string> {
  return request.then(
    () => "accepted",
    ({ status, message, $metadata, name }) => `${status ?? $metadata?.httpStatusCode} ${name}: ${message}`,
  );
}

const user = { role: "user" as const, content: "こんばんは" };
const assistant = { role: "assistant" as const, content: "あら" };

describe("the Anthropic wire", () => {
  const valid = { model: "claude-sonnet-5-5", max_tokens: 512, messages: [user] };
  async function ask(changes: object, options: { apiKey?: string; version?: string | null } = {}) {
    const { apiKey = ANTHROPIC_KEY, version } = options;
    const defaultHeaders = version === undefined ? {} : { "anthropic-version": version };
    const client = new Anthropic({ baseURL: await start(anthropic), apiKey, maxRetries: 0, defaultHeaders });
    const stream = await client.messages.create({ ...valid, ...changes, stream: true });
    let text = "";
    let usage: object = {};
    for await (const event of stream) {
      if (event.type === "content_block_delta" && event.delta.type === "text_delta") text += event.delta.text;
      if (event.type === "message_delta") usage = event.usage;
    }
    return { text, usage };
  }

  test("streams a whole reply with usage to the SDK", async () => {
    const { text, usage } = await ask({
      system: [{ type: "text", text: "ママ", cache_control: { type: "ephemeral" } }],
    });
    expect(text).toBe(wholeReply("桃"));
    expect(usage).toMatchObject({ input_tokens: 3, cache_read_input_tokens: 2, output_tokens: 60 });
  });

  test.each([
    ["a prefill", { messages: [user, assistant] }, /400.*does not support assistant message prefill/],
    [
      "a first message from the assistant",
      { messages: [assistant, user] },
      /400.*first message must use the \\?"user\\?" role/,
    ],
    ["an unknown field", { seed: 7 }, /400.*seed: Extra inputs are not permitted/],
    ["temperature", { temperature: 0.7 }, /400.*`temperature` is deprecated for this model/],
    ["top_p", { top_p: 0.9 }, /400.*`top_p` is deprecated/],
    ["no max_tokens", { max_tokens: undefined }, /400.*max_tokens: Field required/],
    ["an empty message", { messages: [{ role: "user", content: "" }] }, /400.*messages.0.content/],
    ["an unknown effort", { output_config: { effort: "none" } }, /400.*output_config.effort/],
  ])("refuses %s", async (_, changes, error) => {
    expect(await refusal(ask(changes))).toMatch(error);
  });

  test("refuses a fifth cache mark", async () => {
    const block = { type: "text", text: "ママ", cache_control: { type: "ephemeral" } };
    expect(await refusal(ask({ system: Array(5).fill(block) }))).toMatch(/maximum of 4 blocks with cache_control/);
  });

  test("refuses a wrong key", async () => {
    expect(await refusal(ask({}, { apiKey: "sk-ant-other" }))).toMatch(/401.*invalid x-api-key/);
  });

  test("refuses a missing or unknown API version", async () => {
    expect(await refusal(ask({}, { version: null }))).toMatch(/400.*anthropic-version: header is required/);
    expect(await refusal(ask({}, { version: "2020-01-01" }))).toMatch(/400.*not a valid version/);
  });
});

describe.each([
  ["OpenAI", openai, OPENAI_KEY, { max_completion_tokens: 512, reasoning_effort: "low" }],
  ["HuggingFace", huggingface, HUGGINGFACE_TOKEN, { max_tokens: 512, temperature: 0.7, seed: 7 }],
])("the %s wire", (name, wire, key, fields) => {
  async function ask(changes: object, apiKey = key) {
    const client = new OpenAI({ baseURL: `${await start(wire)}/v1`, apiKey, maxRetries: 0 });
    const body = { model: "model-1", messages: [user], ...fields, ...changes, stream_options: { include_usage: true } };
    const streamed = { ...body, stream: true } as OpenAI.ChatCompletionCreateParamsStreaming;
    const stream = await client.chat.completions.create(streamed);
    let text = "";
    let usage: object | null | undefined;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      usage = chunk.usage;
    }
    return { text, usage };
  }

  test("streams a whole reply with usage to the SDK", async () => {
    const { text, usage } = await ask({});
    expect(text).toBe(wholeReply("桃"));
    expect(usage).toMatchObject({ prompt_tokens: 5, completion_tokens: 60 });
  });

  test("refuses a prefill", async () => {
    expect(await refusal(ask({ messages: [user, assistant] }))).toMatch(/400.*last message must have the role/);
  });

  test("refuses a wrong key", async () => {
    expect(await refusal(ask({}, "other"))).toMatch(/401/);
  });

  test("refuses an unknown field", async () => {
    expect(await refusal(ask({ top_k: 1 }))).toMatch(
      name === "OpenAI" ? /400 Unknown parameter: 'top_k'/ : /'top_k' is unsupported/,
    );
  });
});

describe("the OpenAI wire of a reasoning model", () => {
  async function ask(changes: object) {
    const client = new OpenAI({ baseURL: `${await start(openai)}/v1`, apiKey: OPENAI_KEY, maxRetries: 0 });
    return client.chat.completions.create({ model: "gpt-6.1-terra", messages: [user], ...changes, stream: true });
  }

  test.each([
    ["max_tokens", { max_tokens: 512 }, /Use 'max_completion_tokens' instead/],
    [
      "temperature with an effort",
      { temperature: 0.7, reasoning_effort: "low" },
      /does not support 0.7 with this model/,
    ],
    ["top_p with the default effort", { top_p: 0.5 }, /does not support 0.5 with this model/],
  ])("refuses %s", async (_, changes, error) => {
    expect(await refusal(ask(changes))).toMatch(error);
  });

  test("accepts temperature when the effort is none", async () => {
    expect(await refusal(ask({ temperature: 0.7, reasoning_effort: "none" }))).toBe("accepted");
  });
});

describe("the Bedrock wire", () => {
  const message = (role: "user" | "assistant", text: string) => ({ role, content: [{ text }] });
  const valid: ConverseStreamCommandInput = {
    modelId: "jp.anthropic.claude-sonnet-5-5",
    messages: [message("user", "こんばんは")],
  };
  async function ask(changes: Partial<ConverseStreamCommandInput>) {
    const client = new BedrockRuntimeClient({
      region: "ap-northeast-1",
      endpoint: await start(bedrock),
      credentials: { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "secret" },
      requestHandler: new NodeHttpHandler(),
      maxAttempts: 1,
    });
    const { stream } = await client.send(new ConverseStreamCommand({ ...valid, ...changes }));
    let text = "";
    let usage: object | undefined;
    for await (const event of stream ?? []) {
      text += event.contentBlockDelta?.delta?.text ?? "";
      usage = event.metadata?.usage ?? usage;
    }
    return { text, usage };
  }

  test("streams a whole reply with usage to the SDK, which checks the checksums", async () => {
    const { text, usage } = await ask({ inferenceConfig: { maxTokens: 512 } });
    expect(text).toBe(wholeReply("桃"));
    expect(usage).toMatchObject({ inputTokens: 3, cacheReadInputTokens: 2, outputTokens: 60 });
  });

  test.each([
    [
      "a model id instead of an inference profile",
      { modelId: "anthropic.claude-sonnet-5-5" },
      /on-demand throughput isn't supported/,
    ],
    ["a prefill", { messages: [message("user", "a"), message("assistant", "b")] }, /assistant message prefill/],
    ["a first message from the assistant", { messages: [message("assistant", "b")] }, /must start with a user message/],
    ["temperature", { inferenceConfig: { temperature: 0.7 } }, /`temperature` is deprecated for this model/],
    ["an unknown field for the model", { additionalModelRequestFields: { top_k: 1 } }, /extraneous key/],
    ["an empty text", { messages: [message("user", "")] }, /messages.0.content.0/],
  ])("refuses %s with a ValidationException", async (_, changes, error) => {
    const text = await refusal(ask(changes));
    expect(text).toMatch(/^400 ValidationException/);
    expect(text).toMatch(error);
  });

  test("refuses a request without a signature", async () => {
    const url = `${await start(bedrock)}/model/jp.anthropic.claude-sonnet-5-5/converse-stream`;
    const response = await fetch(url, { method: "POST", body: "{}" });
    expect(response.status).toBe(403);
    expect(response.headers.get("x-amzn-errortype")).toMatch(/^MissingAuthenticationTokenException/);
  });
});

describe("the RunPod wire", () => {
  async function run(body: object, key = RUNPOD_KEY) {
    const server = await startFaultyRunpod({ mark: "桃", scale: SCALE });
    servers.push(server);
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const response = await fetch(`${server.url}/run`, { method: "POST", headers, body: JSON.stringify(body) });
    return `${response.status} ${await response.text()}`;
  }

  test.each([
    [
      "an input that does not match the contract",
      { input: { prompt: "こんばんは" } },
      /^400.*bad request: input.prompt/,
    ],
    [
      "an execution timeout below 5 s",
      { input: { text: "a" }, policy: { executionTimeout: 1_000 } },
      /^400.*executionTimeout/,
    ],
    ["an unknown field", { input: { text: "a" }, priority: 1 }, /^400.*bad request: priority/],
  ])("refuses %s", async (_, body, error) => {
    expect(await run(body)).toMatch(error);
  });

  test("refuses a wrong key", async () => {
    expect(await run({ input: { text: "a" } }, "rpa_other")).toMatch(/^401/);
  });

  test("accepts a job", async () => {
    expect(await run({ input: { text: "こんばんは" } })).toMatch(/^200.*IN_QUEUE/);
  });
});
