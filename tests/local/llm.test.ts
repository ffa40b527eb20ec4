import { Readable } from "node:stream";
import { EventSourceParserStream } from "eventsource-parser/stream";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { models } from "../../contract/plan";
import { startEngine } from "../../local/llm/engine";
import { startForwarder } from "../../local/llm/forwarder";
import { LastLines } from "../../local/llm/lastLines";
import { findOllama } from "../../local/llm/ollama";
import { startScriptedEngine } from "../../local/llm/scriptedEngine";
import { Events } from "../../local/support/events";
import { type Listening, serve } from "../../local/support/http";
import { statusWithHost } from "../statusWithHost";

let engine: Listening;
beforeAll(async () => {
  engine = await startScriptedEngine({ port: 0, events: new Events() });
});
afterAll(() => engine.close());

const user = (content: string) => ({ model: "phi3", messages: [{ role: "user", content }] });
const post = (body: unknown) =>
  fetch(`${engine.url}/v1/chat/completions`, { method: "POST", body: JSON.stringify(body) });
const reply = async (body: object) => (await (await post(body)).json()).choices[0];

async function chunks(body: object) {
  const response = await post({ ...body, stream: true });
  expect(response.headers.get("content-type")).toContain("text/event-stream");
  const events = response.body?.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
  const data: string[] = [];
  for await (const event of events ?? []) data.push(event.data);
  expect(data.at(-1)).toBe("[DONE]");
  return data.slice(0, -1).map((text) => JSON.parse(text));
}

describe("LastLines", () => {
  it("returns the final lines of a process for an error message", async () => {
    const lines = new LastLines();
    expect(String(lines)).toBe("It has written nothing.");
    const written = Array.from({ length: 300 }, (_, index) => `line ${index}\n\n`);
    const output = Readable.from(written);
    lines.read(output);
    await vi.waitFor(() => expect(String(lines)).toMatch(/^Its last lines:\nline 288\n(.+\n){10}line 299$/));
    expect(lines.toString(1_000).split("\n")).toHaveLength(251);
  });
});

describe("The scripted engine", () => {
  it("is healthy and lists every model", async () => {
    expect((await fetch(`${engine.url}/health`)).status).toBe(200);
    const { data } = await (await fetch(`${engine.url}/v1/models`)).json();
    expect(data.map(({ id }: { id: string }) => id)).toEqual(models);
  });

  it("gives equal messages equal replies, and different messages different replies", async () => {
    const greeting = await reply(user("こんばんは"));
    expect(greeting).toMatchObject({ message: { role: "assistant" }, finish_reason: "stop" });
    expect(greeting.message.content).toMatch(/^あら、いらっしゃい。/);
    expect((await reply(user("こんばんは"))).message.content).toBe(greeting.message.content);
    expect((await reply(user("ありがとう"))).message.content).not.toBe(greeting.message.content);
    const answers = await Promise.all(["猫", "犬", "海", "山", "空", "花"].map((word) => reply(user(word))));
    expect(new Set(answers.map(({ message }) => message.content)).size).toBeGreaterThan(1);
  });

  it("streams the reply in small pieces and adds the usage on request", async () => {
    const whole = (await reply(user("こんばんは"))).message.content as string;
    const all = await chunks({ ...user("こんばんは"), stream_options: { include_usage: true } });
    const text = all.flatMap(({ choices }) =>
      choices.map((choice: { delta: { content?: string } }) => choice.delta.content ?? ""),
    );
    expect(text.join("")).toBe(whole);
    expect(text.length).toBeGreaterThan(5);
    expect(all.at(-2).choices[0].finish_reason).toBe("stop");
    const tokens = Array.from(whole).length;
    const usage = { prompt_tokens: 5, completion_tokens: tokens, total_tokens: tokens + 5 };
    expect(all.at(-1)).toMatchObject({ choices: [], usage });
    expect((await chunks(user("こんばんは"))).every((chunk) => !("usage" in chunk))).toBe(true);
  });

  it("truncates the reply at max_tokens", async () => {
    const cut = await reply({ ...user("こんばんは"), max_tokens: 3 });
    expect(cut).toMatchObject({ message: { content: "あら、" }, finish_reason: "length" });
  });

  it("answers an invalid request with an error in the OpenAI format", async () => {
    const unknown = await post({ ...user("x"), model: "gpt" });
    expect(unknown.status).toBe(404);
    expect(await unknown.json()).toMatchObject({
      error: { code: "model_not_found", message: expect.stringContaining("phi3") },
    });
    const invalid = await post({ model: "phi3", messages: [] });
    expect(invalid.status).toBe(400);
    expect(await invalid.json()).toEqual({
      error: { type: "invalid_request_error", param: null, code: null, message: expect.stringMatching(/^messages: /) },
    });
  });
});

describe("The server before llama.cpp and vLLM", () => {
  /** Starts an engine that refuses requests without its key. Records all requests. */
  async function forwarded() {
    const seen: string[] = [];
    const upstream = await serve("engine", 0, async (request) => {
      seen.push(`${request.method} ${new URL(request.url).pathname} ${await request.text()}`);
      const isAllowed = request.headers.get("authorization") === "Bearer key-1";
      return isAllowed ? Response.json({ reply: "あら" }) : new Response("Invalid API Key", { status: 401 });
    });
    const server = await startForwarder("engine", () => ({ port: upstream.port, apiKey: "key-1" }));
    const close = () => Promise.all([server.close(), upstream.close()]);
    return { url: server.url, engineUrl: upstream.url, seen, close };
  }

  it("adds the engine's key to each forwarded request", async () => {
    const { url, engineUrl, seen, close } = await forwarded();
    const request = { method: "POST", body: "{}", headers: { authorization: "Bearer none" } };
    expect((await fetch(`${engineUrl}/v1/chat/completions`, request)).status).toBe(401);
    expect(await (await fetch(`${url}/v1/chat/completions`, request)).json()).toEqual({ reply: "あら" });
    expect(seen).toEqual(["POST /v1/chat/completions {}", "POST /v1/chat/completions {}"]);
    await close();
  });

  it("refuses a request with a host name other than loopback (DNS rebinding)", async () => {
    const { url, seen, close } = await forwarded();
    expect(await statusWithHost(`${url}/v1/models`, "evil.example")).toBe(403);
    expect(seen).toEqual([]);
    await close();
  });
});

describe("findOllama", () => {
  const ollamaWith = (...names: string[]) =>
    serve("Ollama", 0, () => Response.json({ models: names.map((name) => ({ name })) }));

  it("returns the URL of Ollama only when Ollama runs and has every model", async () => {
    const complete = await ollamaWith(...models.map((model) => `${model}:latest`), "llama3:latest");
    const incomplete = await ollamaWith("phi3:latest");
    try {
      expect(await findOllama(complete.url)).toBe(`${complete.url}/v1`);
      expect(await findOllama(incomplete.url)).toBeUndefined();
    } finally {
      await complete.close();
      await incomplete.close();
    }
    expect(await findOllama(complete.url)).toBeUndefined();
  });
});

describe("startEngine", () => {
  const start = (name?: "scripted" | "ollama") => startEngine(name, new Events(), () => {});

  it("starts the scripted engine when the name is scripted", async () => {
    const scripted = await start("scripted");
    try {
      expect(scripted.name).toBe("scripted");
      expect((await fetch(`${scripted.url}/models`)).status).toBe(200);
    } finally {
      await scripted.close();
    }
  });

  it("rejects the name ollama and starts the scripted engine by default when Ollama is missing", async () => {
    if (await findOllama()) {
      expect(await start("ollama")).toMatchObject({ name: "ollama" });
      expect(await start()).toMatchObject({ name: "ollama" });
      return;
    }
    await expect(start("ollama")).rejects.toThrow(models.map((model) => `ollama pull ${model}`).join(" && "));
    const started = await start();
    await started.close();
    expect(started.name).toBe("scripted");
  });
});
