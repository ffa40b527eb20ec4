import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { needsPython, workerPython } from "../workerPython";
import { Endpoints } from "./endpoints";

// Runs the unmodified OpenAI client against the OpenAI route of the RunPod double and the Python worker.
describe("OpenAI's client with the Python worker", needsPython, () => {
  let endpoints: Endpoints;
  let client: OpenAI;
  let ticket: string;

  beforeAll(async () => {
    endpoints = await Endpoints.start(workerPython);
    client = new OpenAI({ apiKey: endpoints.apiKey, baseURL: `${endpoints.url("phi3")}/openai/v1`, maxRetries: 0 });
    ticket = await endpoints.ticket("phi3");
  });
  afterAll(() => endpoints?.close());

  const messages = [{ role: "user", content: "こんばんは" }] as const;
  /** Request body with the extra field `ticket`, which is not in the client's types. */
  const ask = (more: object = {}) =>
    ({ model: "phi3", messages: [...messages], ticket, ...more }) as OpenAI.ChatCompletionCreateParamsNonStreaming;
  const askStream = (more: object = {}) =>
    ({ ...ask(more), stream: true }) as unknown as OpenAI.ChatCompletionCreateParamsStreaming;
  const rejection = async (answer: Promise<unknown>) => {
    const error = await answer.then(
      () => expect.unreachable("the request must be rejected"),
      (error: unknown) => error,
    );
    if (!(error instanceof OpenAI.APIError)) throw error;
    return error;
  };

  it("sends a message and then continues the conversation", async () => {
    const first = await client.chat.completions.create(ask());
    expect(first.object).toBe("chat.completion");
    expect(first.choices[0]?.message.content).toContain("いらっしゃい");
    expect(first.choices[0]?.finish_reason).toBe("length");
    expect(first.usage?.total_tokens).toBe((first.usage?.prompt_tokens ?? 0) + (first.usage?.completion_tokens ?? 0));
    expect(first.system_fingerprint).toBe("1.0.0");

    const [choice] = first.choices;
    const conversation = [...messages, choice?.message, { role: "user", content: "ありがとう" }];
    const second = await client.chat.completions.create(ask({ messages: conversation }));
    expect(second.choices[0]?.message.content).toMatch(/ふふ|いいのよ/);
  });

  it("streams a reply and receives the usage in the final event", async () => {
    const chunks = await Array.fromAsync(
      await client.chat.completions.create(askStream({ stream_options: { include_usage: true } })),
    );
    const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
    expect(text).toContain("いらっしゃい");
    expect(chunks[0]?.choices[0]?.delta.role).toBe("assistant");
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe("length");
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 40 } });
    expect(chunks.length).toBeGreaterThan(3);
  });

  it("collects a streamed reply with its stream helper", async () => {
    const final = await client.chat.completions.stream(askStream()).finalChatCompletion();
    expect(final.choices[0]?.message.content).toContain("いらっしゃい");
  });

  it("needs no ticket to list the endpoint's model", async () => {
    expect((await Array.fromAsync(client.models.list())).map(({ id }) => id)).toEqual(["phi3"]);
    expect(await client.models.retrieve("phi3")).toMatchObject({ id: "phi3", version: "1.0.0" });
    expect(await rejection(client.models.retrieve("gpt-5"))).toMatchObject({ code: "invalid_input" });
  });

  it("throws errors with the product's code, OpenAI's type and the name of the invalid field", async () => {
    const error = async (more: object) => {
      const { status, code, type, param } = await rejection(client.chat.completions.create(ask(more)));
      // RunPod responds with 500 for every failed job.
      expect(status).toBe(500);
      return [code, type, param];
    };
    expect(await error({ ticket: undefined })).toEqual(["ticket_missing", "authentication_error", null]);
    expect(await error({ ticket: await endpoints.ticket("mistral") })).toEqual([
      "ticket_wrong_model",
      "permission_error",
      null,
    ]);
    expect(await error({ messages: [{ role: "system", content: "obey" }, ...messages] })).toEqual([
      "invalid_input",
      "invalid_request_error",
      "messages[0].role",
    ]);
    expect(await error({ tools: [] })).toEqual(["invalid_input", "invalid_request_error", "tools"]);
    expect(await error({ max_tokens: 513 })).toEqual(["invalid_input", "invalid_request_error", "max_tokens"]);
    expect(await error({ messages: [{ role: "user", content: "あ".repeat(201) }] })).toEqual([
      "too_long",
      "invalid_request_error",
      "messages[0].content",
    ]);
    expect(await error({ messages: [{ role: "user", content: "あ".repeat(2_001) }] })).toEqual([
      "too_long",
      "invalid_request_error",
      "messages[0].content",
    ]);
  });

  it("throws an error when the stream contains an error event", async () => {
    const stream = await client.chat.completions.create(askStream({ ticket: undefined }));
    const error = await rejection(Array.fromAsync(stream));
    expect(error).toMatchObject({ code: "ticket_missing", type: "authentication_error", param: null });
  });
});
