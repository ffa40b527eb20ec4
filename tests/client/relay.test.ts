import { afterEach, describe, expect, it, vi } from "vitest";
import { ApiProblem, type ChatInput, type ChatItem, type ChatOptions, chat, type Session } from "../../client";
import { ApiError, type ErrorCode } from "../../contract/errors";
import { ChatRequest } from "../../contract/relay";
import { type RelayScript, relayDone, startRelay } from "./relayServer";

const servers: { close(): Promise<void> }[] = [];
afterEach(async () => {
  vi.unstubAllGlobals();
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function relay(script: RelayScript) {
  const server = await startRelay(script);
  servers.push(server);
  return server;
}

async function collect(session: Session, input: ChatInput, options?: ChatOptions): Promise<ChatItem[]> {
  const items: ChatItem[] = [];
  for await (const item of chat(session, input, options)) items.push(item);
  return items;
}

/** Runs a chat that must fail. Returns the error and the items before the error. */
async function failure(session: Session, options?: ChatOptions) {
  const items: ChatItem[] = [];
  try {
    for await (const item of chat(session, { text: "こんばんは" }, options)) items.push(item);
  } catch (error) {
    return { items, error };
  }
  throw new Error("The chat did not fail");
}

async function problem(session: Session, options?: ChatOptions): Promise<ApiProblem> {
  const { error } = await failure(session, options);
  expect(error).toBeInstanceOf(ApiProblem);
  return error as ApiProblem;
}

const soon = <T>(read: () => T) => expect.poll(read, { timeout: 10_000, interval: 20 });
const done = relayDone("あら、🍶どうぞ。");
const errorItem = (code: ErrorCode, text?: string) => ({ ...new ApiError(code).body, ...(text && { text }) });
const never: RelayScript = () => {};
const halfReply: RelayScript = ({ send }) => send({ delta: "あら、" });

describe("A chat over the relay", () => {
  it("yields the waiting message, deltas, a restart and the whole reply", async () => {
    const items = [
      { waiting: true as const, message: "お店を開けているところなの。" },
      { delta: "こん" },
      { restart: true as const },
      { delta: "あら、" },
      { delta: "" },
      { delta: "🍶どうぞ。" },
      done,
    ];
    const server = await relay(({ send, response }) => {
      send(...items);
      response.end();
    });
    expect(await collect(server.session(), { text: "こんばんは" })).toEqual(items);
    expect(server.cancels).toEqual([]);
  });

  it("sends the session's authorization, asks for an event stream and chooses a new id for each chat", async () => {
    const server = await relay(({ send }) => send(done));
    const input = { messages: [{ role: "user" as const, content: "a" }], params: { max_tokens: 32 } };
    await collect(server.session(), input);
    await collect(server.session(), { text: "a" });
    const [first, second] = server.chats;
    expect(first?.headers).toMatchObject({ authorization: "Bearer ticket-1", accept: "text/event-stream" });
    expect(first?.body).toEqual({ ...input, id: expect.any(String) });
    expect(ChatRequest.safeParse(first?.body).success).toBe(true);
    expect(second?.body.id).not.toBe(first?.body.id);
  });

  it("reads the same items when the stream arrives in two parts, split at any byte", async () => {
    const events = `\uFEFF:\n\ndata: {"delta":"あら🍶"}\r\n\r\n: ♥\r\rdata: {"delta":\ndata: "\\n"}\n\n`;
    const stream = Buffer.from(`${events}data: ${JSON.stringify(done)}\n\n:\n\n`);
    const server = await relay(async ({ body, response }) => {
      const position = Number(body.request_id);
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(stream.subarray(0, position));
      // This pause prevents one TCP segment with both parts.
      await new Promise((resolve) => setTimeout(resolve, 2));
      response.end(stream.subarray(position));
    });
    const expected = [{ delta: "あら🍶" }, { delta: "\n" }, done];
    for (const position of stream.keys()) {
      const items = await collect(server.session(), { text: "a", request_id: String(position) });
      expect(items, `cut at byte ${position}`).toEqual(expected);
    }
  });

  it("ignores events that are not JSON and items of an unknown kind", async () => {
    const server = await relay(({ send, response }) => {
      send({ delta: "あら" });
      response.write('data: {"delta": \n\ndata: null\n\ndata: {"mood":"glad"}\n\ndata: {"delta":1}\n\n');
      send(done);
    });
    expect(await collect(server.session(), { text: "a" })).toEqual([{ delta: "あら" }, done]);
  });

  it("ends after the item with `done: true`, although the stream stays open", async () => {
    const server = await relay(({ send }) => send(done));
    expect(await collect(server.session(), { text: "a" })).toEqual([done]);
    await server.chats[0]?.left;
    expect(server.cancels).toEqual([]);
  });
});

describe("A chat over the relay that fails", () => {
  it("throws the error item's code and the text so far, and sends no cancellation", async () => {
    const server = await relay(({ send }) => send({ delta: "あら、" }, errorItem("overloaded", "あら、")));
    expect(await problem(server.session())).toMatchObject({
      code: "overloaded",
      retryable: true,
      partialText: "あら、",
    });
    expect(server.cancels).toEqual([]);
  });

  it("returns only the text after the newest restart as partialText", async () => {
    const server = await relay(({ send }) =>
      send({ delta: "捨て" }, { restart: true }, { delta: "残す" }, errorItem("timeout")),
    );
    expect((await problem(server.session())).partialText).toBe("残す");
    const without = await relay(({ send }) => send({ delta: "捨て" }, { restart: true }, errorItem("timeout")));
    expect((await problem(without.session())).partialText).toBeUndefined();
  });

  it.each<[string, RelayScript]>([
    ["ends", ({ response }) => void response.end()],
    ["is reset", ({ response }) => void response.destroy()],
    ["ends within an event", ({ response }) => void response.end(`data: ${JSON.stringify(done)}\n`)],
  ])(
    "throws unavailable with the partial text and cancels the chat when the stream %s before the final item",
    async (_, end) => {
      const server = await relay(async (chat) => {
        chat.send({ delta: "あら、" });
        await new Promise((resolve) => setTimeout(resolve, 20));
        await end(chat);
      });
      const { items, error } = await failure(server.session());
      expect(items).toEqual([{ delta: "あら、" }]);
      expect(error).toMatchObject({ code: "unavailable", retryable: true, partialText: "あら、" });
      await soon(() => server.cancels.map(({ id }) => id)).toEqual([server.chats[0]?.body.id]);
    },
  );

  it.each<[string, number, unknown, object]>([
    ["the product's error", 429, new ApiError("rate_limited").body, { code: "rate_limited", retryable: true }],
    ["the product's conflict", 409, new ApiError("conflict").body, { code: "conflict", retryable: false }],
    ["API Gateway's 429", 429, { message: "Too Many Requests" }, { code: "rate_limited" }],
    [
      "Lambda's 429",
      429,
      { Reason: "ReservedFunctionConcurrentInvocationLimitExceeded", Type: "User", message: "Rate Exceeded." },
      { code: "rate_limited", message: "POST /chat answered 429: Rate Exceeded." },
    ],
    ["Lambda's 502", 502, "Internal Server Error", { code: "unavailable", retryable: true }],
    ["API Gateway's 503", 503, { message: "Service Unavailable" }, { code: "unavailable" }],
    ["a function URL's 403", 403, { Message: "Forbidden" }, { code: "unauthorized" }],
    ["a function URL's 413", 413, { Message: "Request Entity Too Large" }, { code: "too_long" }],
    ["a proxy's page", 504, "<html>", { code: "timeout" }],
  ])("throws a typed problem for %s, and sends no cancellation", async (_, status, body, expected) => {
    const server = await relay(({ answer }) => answer(status, body));
    expect(await problem(server.session())).toMatchObject(expected);
    expect(server.cancels).toEqual([]);
  });

  it.each([
    ["700", 700_000],
    [new Date(Date.now() + 3_600_000).toUTCString(), 3_600_000],
    ["soon", undefined],
  ])("converts Retry-After: %s to retryAfterMs", async (header, expected) => {
    const server = await relay(({ answer }) =>
      answer(429, new ApiError("rate_limited").body, { "retry-after": header }),
    );
    const { retryAfterMs } = await problem(server.session());
    if (expected === undefined) expect(retryAfterMs).toBeUndefined();
    else expect(Math.abs(Number(retryAfterMs) - expected)).toBeLessThan(300_000);
  });

  it("throws unavailable when the relay cannot be reached", async () => {
    const server = await relay(never);
    const session = server.session();
    await server.close();
    expect(await problem(session)).toMatchObject({ code: "unavailable", retryable: true });
  });

  it("throws unavailable for a response that is not an event stream", async () => {
    const server = await relay(({ answer }) => answer(200, "<html>Sign in to the Wi-Fi</html>"));
    expect(await problem(server.session())).toMatchObject({ code: "unavailable" });
  });
});

describe("The idle time of a chat over the relay", () => {
  it.each<[string, RelayScript, string | undefined]>([
    ["before the headers", never, undefined],
    ["after a piece of text", halfReply, "あら、"],
    ["within an error body", ({ response }) => void response.writeHead(500).write("{"), undefined],
  ])("ends the chat with timeout when the relay is silent %s", async (_, script, partialText) => {
    const server = await relay(script);
    const error = await problem(server.session(), { idleTimeoutMs: 150 });
    expect(error).toMatchObject({ code: "timeout", retryable: true, partialText });
    await server.chats[0]?.left;
  });

  it("ends with a cancellation of the chat", async () => {
    const server = await relay(halfReply);
    await problem(server.session(), { idleTimeoutMs: 150 });
    await soon(() => server.cancels.length).toBe(1);
  });

  it("does not end the chat while heartbeats arrive", async () => {
    const server = await relay(async ({ send, response }) => {
      send({ delta: "あら、" });
      for (let beat = 0; beat < 10; beat++) {
        await new Promise((resolve) => setTimeout(resolve, 80));
        response.write(":\n\n");
      }
      send(done);
    });
    expect(await collect(server.session(), { text: "a" }, { idleTimeoutMs: 400 })).toHaveLength(2);
  });

  it("does not end the chat while the caller works on an item", async () => {
    const server = await relay(({ send }) => send({ delta: "あら、" }, done));
    const items: ChatItem[] = [];
    for await (const item of chat(server.session(), { text: "a" }, { idleTimeoutMs: 100 })) {
      items.push(item);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    expect(items).toHaveLength(2);
  });
});

describe("A chat over the relay that the caller stops", () => {
  it("throws the signal's reason, closes the stream and cancels the chat with the same authorization", async () => {
    const server = await relay(halfReply);
    const controller = new AbortController();
    const reading = (async () => {
      for await (const _ of chat(server.session(), { text: "a" }, { signal: controller.signal })) {
        setTimeout(() => controller.abort(new Error("stopped")), 50);
      }
    })();
    await expect(reading).rejects.toThrow("stopped");
    await server.chats[0]?.left;
    const id = server.chats[0]?.body.id;
    await soon(() => server.cancels).toMatchObject([{ id, authorization: "Bearer ticket-1" }]);
  });

  it("cancels the chat before the response headers arrive", async () => {
    const controller = new AbortController();
    const server = await relay(() => controller.abort(new Error("stopped")));
    const { error } = await failure(server.session(), { signal: controller.signal });
    expect(error).toEqual(new Error("stopped"));
    await server.chats[0]?.left;
    await soon(() => server.cancels.map(({ id }) => id)).toEqual([server.chats[0]?.body.id]);
  });

  it("repeats the cancellation while the relay does not know the chat yet", async () => {
    const controller = new AbortController();
    const server = await relay(() => controller.abort());
    server.state.cancelStatus = 404;
    await failure(server.session(), { signal: controller.signal });
    await soon(() => server.cancels.length).toBe(2);
    server.state.cancelStatus = 200;
    await soon(() => server.cancels.length).toBe(3);
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect(server.cancels).toHaveLength(3);
  });

  it.each([429, 503])("repeats the cancellation when the relay answers it with %d", async (status) => {
    const server = await relay(halfReply);
    server.state.cancelStatus = status;
    for await (const _ of chat(server.session(), { text: "a" })) break;
    await soon(() => server.cancels.length).toBe(2);
    server.state.cancelStatus = 200;
    await soon(() => server.cancels.length).toBe(3);
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect(server.cancels).toHaveLength(3);
  });

  it("does not repeat the cancellation when the relay accepted the chat but no longer knows the chat", async () => {
    const server = await relay(halfReply);
    server.state.cancelStatus = 404;
    for await (const _ of chat(server.session(), { text: "a" })) break;
    await soon(() => server.cancels.length).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(server.cancels).toHaveLength(1);
  });

  it("throws at once, even without an answer to the cancellation", async () => {
    const controller = new AbortController();
    const server = await relay(halfReply);
    const realFetch = fetch;
    vi.stubGlobal("fetch", (url: string, init: RequestInit) =>
      url.endsWith("/cancel") ? new Promise(() => {}) : realFetch(url, init),
    );
    const startedAt = performance.now();
    const reading = failure(server.session(), { signal: controller.signal });
    await soon(() => server.chats.length).toBe(1);
    controller.abort(new Error("stopped"));
    expect((await reading).error).toEqual(new Error("stopped"));
    expect(performance.now() - startedAt).toBeLessThan(3_000);
  });

  it("cancels the chat when the caller leaves the loop", async () => {
    const server = await relay(halfReply);
    for await (const _ of chat(server.session(), { text: "a" })) break;
    await server.chats[0]?.left;
    await soon(() => server.cancels.length).toBe(1);
  });

  it("yields no further item after an abort, although more items have already arrived", async () => {
    const server = await relay(({ send }) => send({ delta: "一" }, { delta: "二" }, done));
    const controller = new AbortController();
    const items: ChatItem[] = [];
    const reading = (async () => {
      for await (const item of chat(server.session(), { text: "a" }, { signal: controller.signal })) {
        items.push(item);
        controller.abort(new Error("stopped"));
      }
    })();
    await expect(reading).rejects.toThrow("stopped");
    expect(items).toEqual([{ delta: "一" }]);
  });

  it("sends the cancellation before abort() returns, so that a closing page can still send it", async () => {
    const server = await relay(halfReply);
    const requests: { path: string; keepalive: boolean | undefined }[] = [];
    const realFetch = fetch;
    vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
      requests.push({ path: new URL(url).pathname, keepalive: init.keepalive });
      return realFetch(url, init);
    });
    const controller = new AbortController();
    const reading = failure(server.session(), { signal: controller.signal });
    await soon(() => server.chats.length).toBe(1);
    controller.abort(new Error("stopped"));
    expect(requests[1]).toEqual({ path: `/chat/${server.chats[0]?.body.id}/cancel`, keepalive: true });
    await reading;
  });

  it("sends no request when the signal was aborted before the chat started", async () => {
    const server = await relay(never);
    const { error } = await failure(server.session(), { signal: AbortSignal.abort(new Error("early")) });
    expect(error).toEqual(new Error("early"));
    expect([...server.chats, ...server.cancels]).toEqual([]);
  });

  it("throws timeout and cancels the chat when the chat's time limit is reached", async () => {
    const server = await relay(halfReply);
    const error = await problem(server.session(), { timeoutMs: 300 });
    expect(error).toMatchObject({
      code: "timeout",
      partialText: "あら、",
      message: "The model did not answer in time.",
    });
    await soon(() => server.cancels.length).toBe(1);
  });
});

describe("A page that the user leaves", () => {
  /** Adds a page's event target to this process. */
  function page() {
    const target = new EventTarget();
    vi.stubGlobal("addEventListener", target.addEventListener.bind(target));
    return target;
  }

  it("cancels its chats, and each chat throws a retryable problem", async () => {
    const target = page();
    const server = await relay(({ send }) => {
      send({ delta: "あら、" });
      setTimeout(() => target.dispatchEvent(new Event("pagehide")), 50);
    });
    expect(await problem(server.session())).toMatchObject({ code: "unavailable", retryable: true });
    await soon(() => server.cancels.length).toBe(1);
  });
});

describe("A ticket that the relay rejects", () => {
  const script: RelayScript = ({ headers, send, answer }) =>
    headers.authorization === "Bearer ticket-2" ? send(done) : answer(401, new ApiError("ticket_expired").body);

  it("is renewed once, and the message is sent again with a new id", async () => {
    const server = await relay(script);
    const renewed = { kind: "relay" as const, url: server.url, authorization: "Bearer ticket-2" };
    const renew = async () => server.session({ ticket: "ticket-2", inference: renewed });
    expect(await collect(server.session(), { text: "a" }, { renew })).toEqual([done]);
    expect(new Set(server.chats.map(({ body }) => body.id)).size).toBe(2);
    const rejected = await problem(server.session(), { renew: async () => server.session() });
    expect(rejected.code).toBe("ticket_expired");
    expect(server.chats).toHaveLength(4);
  });

  it("is renewed when the ticket expired during a cold start", async () => {
    const server = await relay(({ headers, send }) =>
      headers.authorization === "Bearer ticket-2"
        ? send(done)
        : send({ waiting: true, message: "お待ちくださいね。" }, errorItem("ticket_expired")),
    );
    const renewed = { kind: "relay" as const, url: server.url, authorization: "Bearer ticket-2" };
    const items = await collect(
      server.session(),
      { text: "a" },
      { renew: async () => server.session({ inference: renewed }) },
    );
    expect(items.at(-1)).toEqual(done);
  });

  it("is not renewed after text has arrived", async () => {
    const server = await relay(({ send }) => send({ delta: "あら、" }, errorItem("ticket_expired", "あら、")));
    const renew = vi.fn(async () => server.session());
    expect((await problem(server.session(), { renew })).code).toBe("ticket_expired");
    expect(renew).not.toHaveBeenCalled();
  });
});
