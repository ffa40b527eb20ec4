import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Provider } from "../../../../functions/core/relay/provider";
import { openStream, type ScriptedServer, startScriptedServer, stream } from "./scriptedServer";
import { chat, createProvider, readAll, wireFormats } from "./wireFormats";

let server: ScriptedServer;
beforeAll(async () => {
  server = await startScriptedServer();
});
afterAll(() => server.close());

describe.each(Object.values(wireFormats))("$name", (format) => {
  const { contentType, start, text, finish, usage, end, malformed } = format;
  const texts = ["いらっしゃい。", "今日も", "おつかれさま。"];
  const body = texts.map(text);
  const counts = { prompt_tokens: 100, completion_tokens: 20, cached_tokens: 60 };
  let provider: Provider;
  beforeEach(async () => {
    provider = await createProvider(format.name, format.env(server.url));
  });
  const ask = (signal = new AbortController().signal) => provider.stream(chat, signal);

  it("yields the text in its pieces, then the finish reason and the usage", async () => {
    server.script = stream(contentType, ...start, ...body, finish("stop"), ...usage, ...end);
    const reply = await readAll(ask());
    expect(reply.texts).toEqual(texts);
    expect(reply.end).toMatchObject({ finishReason: "stop", usage: counts });
  });

  it.each(["length", "filter"] as const)("ends with the finish reason %s", async (reason) => {
    server.script = stream(contentType, ...start, ...body, finish(reason), ...usage, ...end);
    expect((await readAll(ask())).end).toMatchObject({ finishReason: reason, usage: counts });
  });

  it("reports the finish reason filter for a refusal without text", async () => {
    server.script = stream(contentType, ...start, finish("filter"), ...usage, ...end);
    expect(await readAll(ask())).toMatchObject({ texts: [], end: { finishReason: "filter" } });
  });

  it("reads a stream that arrives byte by byte", async () => {
    const bytes = Buffer.concat([...start, ...body, finish("stop"), ...usage, ...end]);
    server.script = async (response) => {
      response.writeHead(200, { "content-type": contentType });
      for (const byte of bytes) {
        response.write(Uint8Array.of(byte));
        await new Promise(setImmediate);
      }
      response.end();
    };
    const reply = await readAll(ask());
    expect(reply.texts).toEqual(texts);
    expect(reply.end?.finishReason).toBe("stop");
  });

  it("skips a malformed event and an empty text", async () => {
    const parts = [text(""), ...body.slice(0, 1), malformed, ...body.slice(1)];
    server.script = stream(contentType, ...start, ...parts, finish("stop"), ...usage, ...end);
    const reply = await readAll(ask());
    expect(reply.texts).toEqual(texts);
    expect(reply.end?.usage).toEqual(counts);
  });

  it("ends at once although the server keeps a complete stream open", async () => {
    server.script = openStream(contentType, ...start, ...body, finish("stop"), ...usage);
    const startedAt = Date.now();
    expect((await readAll(ask())).end).toMatchObject({ finishReason: "stop", usage: counts });
    expect(Date.now() - startedAt).toBeLessThan(900);
    await server.closed;
  });

  it("fails with the reason `broken` when the stream ends without a finish reason", async () => {
    server.script = stream(contentType, ...start, ...body);
    const seen: string[] = [];
    const read = async () => {
      for await (const event of ask()) if ("text" in event) seen.push(event.text);
    };
    await expect(read()).rejects.toMatchObject({ name: "ProviderFailure", reason: "broken" });
    expect(seen).toEqual(texts);
  });

  it("fails with the reason `broken` when the connection breaks after a text", async () => {
    server.script = (response) => {
      response.writeHead(200, { "content-type": contentType });
      response.write(Buffer.concat([...start, ...body]), () => setTimeout(() => response.destroy(), 50));
    };
    await expect(readAll(ask())).rejects.toMatchObject({ name: "ProviderFailure", reason: "broken" });
  });

  it("closes the connection when the signal is aborted during the stream", async () => {
    server.script = openStream(contentType, ...start, ...body);
    const controller = new AbortController();
    const events = ask(controller.signal)[Symbol.asyncIterator]();
    for (const expected of texts) expect((await events.next()).value).toEqual({ text: expected });
    const next = events.next();
    controller.abort(new Error("cancelled"));
    await expect(next).rejects.toThrow("cancelled");
    await server.closed;
  });

  it("closes the connection when the signal is aborted before the response", async () => {
    const arrived = new Promise<void>((resolve) => {
      server.script = () => resolve();
    });
    const controller = new AbortController();
    const reply = readAll(ask(controller.signal));
    reply.catch(() => {});
    await arrived;
    controller.abort(new Error("cancelled"));
    await expect(reply).rejects.toThrow("cancelled");
    await server.closed;
  });

  it("closes the connection when the caller stops reading", async () => {
    server.script = openStream(contentType, ...start, ...body);
    for await (const _ of ask()) break;
    await server.closed;
  });

  it("reuses the connection for the next request", async () => {
    // This test has its own server, because an idle connection of an earlier test could close between two requests.
    const own = await startScriptedServer();
    own.script = stream(contentType, ...start, ...body, finish("stop"), ...usage, ...end);
    const client = await createProvider(format.name, format.env(own.url));
    for (let request = 0; request < 3; request += 1) {
      await readAll(client.stream(chat, new AbortController().signal));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(new Set(own.ports).size).toBe(1);
    await own.close();
  });
});

describe.each([wireFormats.openai, wireFormats.huggingface, wireFormats.bedrock])("$name without usage", (format) => {
  it("ends one second after the finish reason when the stream stays open", async () => {
    const { contentType, start, text, finish } = format;
    const provider = await createProvider(format.name, format.env(server.url));
    server.script = openStream(contentType, ...start, text("はい"), finish("stop"));
    const startedAt = Date.now();
    const { end } = await readAll(provider.stream(chat, new AbortController().signal));
    expect(end).toMatchObject({ finishReason: "stop" });
    expect(end?.usage).toBeUndefined();
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(950);
    expect(Date.now() - startedAt).toBeLessThan(3_000);
    await server.closed;
  });
});

describe.each([wireFormats.anthropic, wireFormats.openai])("server-sent events of $name", (format) => {
  it("can contain CR LF and comments, and can lack the final blank line", async () => {
    const { contentType, start, text, finish, usage } = format;
    const provider = await createProvider(format.name, format.env(server.url));
    const plain = Buffer.concat([...start, text("こん"), text("ばんは"), finish("stop"), ...usage]).toString();
    const events = `: hello\n\n${plain.trimEnd()}`.replaceAll("\n\n", "\n: keep-alive\n\n").replaceAll("\n", "\r\n");
    server.script = stream(contentType, Buffer.from(events));
    const reply = await readAll(provider.stream(chat, new AbortController().signal));
    expect(reply.texts.join("")).toBe("こんばんは");
    expect(reply.end?.usage).toMatchObject({ prompt_tokens: 100, completion_tokens: 20 });
  });
});
