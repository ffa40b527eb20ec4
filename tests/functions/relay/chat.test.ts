import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { errorCodes } from "../../../contract/errors";
import { ChatReply, type RelayItem } from "../../../contract/relay";
import { type ProviderChat, type ProviderEvent, ProviderFailure } from "../../../functions/core/relay/provider";
import { createRelay, type RelayServices } from "../../../functions/relay/handler";
import { recordMetrics } from "../metricLines";
import { createServices, createTickets, ScriptedProvider } from "./doubles";
import { readEvents, readItems } from "./events";
import { type Host, startHost } from "./host";

let host: Host;
let provider: ScriptedProvider;
let relay: Awaited<ReturnType<typeof createServices>>;
let log: string[];

async function start(changes: Partial<RelayServices> = {}, timeoutMs?: number): Promise<void> {
  await host?.close();
  relay = await createServices(provider, changes);
  host = await startHost(createRelay(relay.services), timeoutMs);
}

beforeEach(async () => {
  log = [];
  for (const level of ["log", "info", "warn", "error"] as const) {
    vi.spyOn(console, level).mockImplementation((...line) => void log.push(JSON.stringify(line)));
  }
  provider = new ScriptedProvider();
  await start();
});
afterEach(async () => {
  await host.close();
  vi.restoreAllMocks();
});

interface Call {
  ticket?: string;
  accept?: string;
  signal?: AbortSignal;
  address?: string;
}

async function post(path: string, body: unknown, call: Call = {}): Promise<Response> {
  const ticket = call.ticket ?? (await relay.tickets.sign("vip"));
  return fetch(`${host.url}${path}`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(ticket && { authorization: `Bearer ${ticket}` }),
      ...(call.accept && { accept: call.accept }),
      ...(call.address && { "x-test-address": call.address }),
    },
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...(call.signal && { signal: call.signal }),
  });
}

const chat = (body: object = { text: "こんばんは" }, call: Call = {}) => post("/chat", body, call);
const stream = (body: object = { text: "こんばんは" }, call: Call = {}) =>
  chat(body, { accept: "text/event-stream", ...call });
const errorOf = async (response: Response) => {
  const { error } = (await response.json()) as { error: { code: keyof typeof errorCodes; message: string } };
  expect(response.status).toBe(errorCodes[error.code].status);
  return error.code;
};
const isEnd = (item: RelayItem | undefined) => item !== undefined && ("done" in item || "error" in item);

describe("A chat", () => {
  it("streams deltas and ends with the whole reply", async () => {
    const response = await stream({ text: "こんばんは", id: "chat-0001" });
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "private, no-store",
      "x-request-id": "chat-0001",
      "server-timing": expect.stringMatching(/^start;dur=\d+$/),
    });
    expect([...response.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
    const items = await readItems(response);
    expect(items.slice(0, -1)).toEqual([{ delta: "こん" }, { delta: "ばんは" }]);
    expect(items.at(-1)).toMatchObject({
      done: true,
      id: "chat-0001",
      text: "こんばんは",
      finish_reason: "stop",
      usage: { prompt_tokens: 100, completion_tokens: 10 },
      provider: "anthropic",
      model: { plan: "vip", name: "scripted-1", version: "v1" },
      attempts: 1,
    });
  });

  it("sends a comment after each event, so that Lambda forwards the event", async () => {
    const arrivals = await Array.fromAsync(readEvents(await stream()));
    expect(arrivals.map(({ item }) => (item ? "item" : "comment"))).toEqual(Array(3).fill(["item", "comment"]).flat());
  });

  it("returns one JSON body when the request has no Accept: text/event-stream", async () => {
    const response = await chat();
    expect(response.headers.get("content-type")).toBe("application/json; charset=utf-8");
    expect(ChatReply.parse(await response.json())).toMatchObject({ text: "こんばんは", id: expect.any(String) });
  });

  it("sends no deltas when the input sets stream to false", async () => {
    expect(await readItems(await stream({ text: "x", stream: false }))).toEqual([
      expect.objectContaining({ done: true }),
    ]);
  });

  it("gives the provider the persona, the merged conversation and the lowest token limit", async () => {
    const messages = [
      { role: "assistant", content: "いらっしゃい" },
      { role: "user", content: "a" },
      { role: "user", content: "b" },
    ];
    await chat({ messages, params: { max_tokens: 9, temperature: 0 } });
    expect(provider.chats[0]).toMatchObject({
      messages: [{ role: "user", content: "a\nb" }],
      maxTokens: 9,
      sampling: { temperature: 0 },
      system: { persona: expect.stringContaining("美砂樹ママ"), greeting: expect.any(String) },
    });
  });

  it("sends the headers and a waiting item when the first text takes long", async () => {
    await start({ times: { waitingAfterMs: 100, heartbeatMs: 50 } });
    provider.scripts = [[400, "a", "end"]];
    const arrivals = await Array.fromAsync(readEvents(await stream()));
    const [waiting] = arrivals;
    expect(waiting?.item).toEqual({ waiting: true, message: expect.stringContaining("お店を開ける") });
    const delta = arrivals.findIndex(({ item }) => item && "delta" in item);
    // One comment follows the waiting item. The other comments are heartbeats.
    expect(delta).toBeGreaterThan(3);
    expect(arrivals.at(-2)?.item).toMatchObject({ done: true, text: "a" });
  });

  it("replaces a short incomplete reply by the next provider's reply", async () => {
    const next = new ScriptedProvider("openai");
    next.scripts = [["ok", "end"]];
    provider.scripts = [["half", new ProviderFailure("upstream_error", "500")]];
    await start({
      vipProviders: () => ["anthropic", "openai"],
      createProvider: async (name) => (name === "openai" ? next : provider),
    });
    const items = await readItems(await stream());
    expect(items.slice(0, -1)).toEqual([{ delta: "half" }, { restart: true }, { delta: "ok" }]);
    expect(items.at(-1)).toMatchObject({ done: true, text: "ok", provider: "openai", attempts: 2, restarted: true });
  });

  it("ends with an error and the partial text when the only provider fails after the first text", async () => {
    provider.scripts = [["half", new ProviderFailure("upstream_error", "500")]];
    expect(await readItems(await stream())).toEqual([
      { delta: "half" },
      { error: expect.objectContaining({ code: "unavailable" }), text: "half" },
    ]);
    const response = await chat();
    expect(await response.clone().json()).toMatchObject({ text: "half" });
    expect(await errorOf(response)).toBe("unavailable");
  });

  it.each([
    ["rate_limited", "overloaded"],
    ["overloaded", "overloaded"],
    ["timeout", "timeout"],
    ["not_found", "unavailable"],
    ["auth_or_quota", "unavailable"],
    ["misconfigured", "unavailable"],
    ["invalid_request", "internal"],
    ["context_too_long", "too_long"],
  ] as const)("answers the provider failure %s before the first text with the status of %s", async (reason, code) => {
    provider.scripts = [[new ProviderFailure(reason, "no", { retryAfterMs: 3_000 })]];
    const response = await stream();
    expect(response.headers.get("content-type")).toBe("application/json; charset=utf-8");
    expect(response.headers.get("retry-after")).toBe("3");
    expect(await errorOf(response)).toBe(code);
    const alarms = relay.alarms.filter((alarm) => alarm.startsWith(`relay_provider anthropic ${reason}`));
    expect(alarms.length > 0).toBe(["not_found", "auth_or_quota", "misconfigured", "invalid_request"].includes(reason));
  });

  it("ends with an error shortly before Lambda's timeout", async () => {
    await start({}, 15_300);
    provider.scripts = [["half", 60_000]];
    expect((await readItems(await stream())).at(-1)).toMatchObject({ error: { code: "timeout" }, text: "half" });
    expect(provider.stoppedAt).toBeDefined();
  });
});

describe("The share of failed chats", () => {
  it("counts 0 for a reply and 1 for an overloaded provider", async () => {
    using metrics = recordMetrics();
    provider.scripts = [["a", "end"], [new ProviderFailure("overloaded", "no")]];
    await (await chat()).text();
    await (await chat()).text();
    await host.idle();
    expect(metrics.values("ChatFailed")).toEqual([0, 1]);
  });

  it("does not count refused and cancelled chats", async () => {
    using metrics = recordMetrics();
    const limit = { chatsPerMinute: 1, tokensPerDay: 1_000_000 };
    await start({ limits: { free: limit, paid: limit, vip: limit } });
    provider.scripts = [["a", 60_000, "end"]];
    const ticket = await relay.tickets.sign("vip");
    const answering = stream({ text: "x", id: "cancel-me" }, { ticket });
    await vi.waitUntil(() => provider.chats.length === 1);
    expect((await chat({ text: "x" }, { ticket })).status).toBe(429);
    await post("/chat/cancel-me/cancel", {}, { ticket });
    await (await answering).text();
    expect((await chat({ text: "x" }, { ticket: "nonsense" })).status).toBe(401);
    await host.idle();
    expect(metrics.values("ChatFailed")).toEqual([]);
  });

  it("counts a chat that fails before it starts, but not a failed cancellation", async () => {
    using metrics = recordMetrics();
    const readTicket = () => Promise.reject(new Error("no keys"));
    await start({ readTicket });
    expect((await post("/chat/some-chat/cancel", {})).status).toBe(500);
    expect(metrics.values("ChatFailed")).toEqual([]);
    expect((await chat()).status).toBe(500);
    expect(metrics.values("ChatFailed")).toEqual([1]);
  });
});

describe("A ticket", () => {
  it("is refused with an error code that gives the reason", async () => {
    const { tickets } = relay;
    const other = await createTickets();
    const codeOf = async (ticket: string) => errorOf(await stream({ text: "x" }, { ticket }));
    expect(await codeOf("")).toBe("ticket_missing");
    expect(await codeOf("nonsense")).toBe("ticket_invalid");
    expect(await codeOf(await other.sign("vip"))).toBe("ticket_invalid");
    expect(await codeOf(await tickets.sign("vip", { ageMs: 130_000 }))).toBe("ticket_expired");
    expect(await codeOf(await tickets.sign("vip", { aud: "phi3" }))).toBe("ticket_wrong_model");
    // The relay does not serve the free model in this test.
    expect(await codeOf(await tickets.sign("free"))).toBe("ticket_wrong_model");
    expect(provider.chats).toEqual([]);
  });

  it("is checked after the body's shape and before the length limits", async () => {
    const text = "x".repeat(1_500);
    const ticket = await relay.tickets.sign("free");
    expect(await errorOf(await chat({ text: 1 }, { ticket: "nonsense" }))).toBe("invalid_input");
    expect(await errorOf(await chat({ text }, { ticket: "nonsense" }))).toBe("ticket_invalid");
    expect(await errorOf(await chat({ text }, { ticket }))).toBe("too_long");
  });
});

describe("Usage", () => {
  it("admits exactly the allowed number of parallel chats", async () => {
    const limit = { chatsPerMinute: 10, tokensPerDay: 1_000_000 };
    await start({ limits: { free: limit, paid: limit, vip: limit } });
    provider.scripts = [[100, "a", "end"]];
    const ticket = await relay.tickets.sign("vip");
    const responses = await Promise.all(Array.from({ length: 50 }, () => chat({ text: "x" }, { ticket })));
    expect(responses.filter(({ status }) => status === 200)).toHaveLength(10);
    const refused = responses.find(({ status }) => status === 429);
    expect(Number(refused?.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await refused?.json()).toMatchObject({
      error: { code: "rate_limited" },
      message: expect.stringContaining("今夜はたくさんお話ししたわね"),
    });
    await host.idle();
    expect(relay.usage.settled).toHaveLength(10);
  });

  it("refuses the id of a running chat, and accepts the id after that chat", async () => {
    provider.scripts = [["a", 300, "end"]];
    const first = await stream({ text: "x", id: "same-id-1" });
    expect(await errorOf(await stream({ text: "x", id: "same-id-1" }))).toBe("conflict");
    await readItems(first);
    await host.idle();
    expect((await stream({ text: "x", id: "same-id-1" })).status).toBe(200);
  });

  it.each<[string, (string | number | Error | "end")[], boolean]>([
    ["a reply", ["a", "end"], true],
    ["an error", [new ProviderFailure("auth_or_quota", "401")], false],
    ["a broken stream", ["a"], true],
    ["a bug", ["a", new TypeError("bug")], true],
  ])("is settled exactly once after %s", async (_, script, used) => {
    provider.scripts = [script];
    await (await stream()).text();
    await host.idle();
    expect(relay.usage.settled).toHaveLength(1);
    expect((relay.usage.settled[0] ?? 0) > 0).toBe(used);
    expect(relay.spend.settled).toHaveLength(1);
  });

  it("corrects the reserved spend to the real costs", async () => {
    await chat();
    await host.idle();
    // 100 prompt tokens at $2 per million, and 10 reply tokens at $10 per million.
    expect(relay.spend.reserved + (relay.spend.settled[0] ?? 0)).toBe(300);
  });

  it("counts all guests of a household together, even with different tickets or address spellings", async () => {
    const limit = { chatsPerMinute: 1, tokensPerDay: 1_000_000 };
    await start({ limits: { free: limit, paid: limit, vip: limit } });
    const as = async (sub: string, address: string) =>
      (await chat({ text: "x" }, { ticket: await relay.tickets.sign("vip", { sub }), address })).status;
    expect(await as("guest:1", "2001:db8::1")).toBe(200);
    expect(await as("guest:2", "2001:db8::2")).toBe(429);
    expect(await as("guest:2", "2001:0DB8:0000:0000:0000:0000:0000:0002")).toBe(429);
    expect(await as("guest:2", "2001:db8:0:1::2")).toBe(200);
    expect(await as("user-2", "2001:db8::1")).toBe(200);
  });
});

describe("The household of a guest's ticket", () => {
  it("replaces the sender's address in the limits, because that address can be CloudFront's", async () => {
    const limit = { chatsPerMinute: 1, tokensPerDay: 1_000_000 };
    await start({ limits: { free: limit, paid: limit, vip: limit } });
    const cloudFront = "192.0.2.200";
    const as = async (sub: string, household: string, address = cloudFront) =>
      (await chat({ text: "x" }, { ticket: await relay.tickets.sign("vip", { sub, household }), address })).status;
    expect(await as("guest:1", "home")).toBe(200);
    expect(await as("guest:2", "home", "192.0.2.201")).toBe(429);
    expect(await as("guest:3", "other home")).toBe(200);
  });
});

describe("A cancellation", () => {
  it.each([
    ["before the first text", [60_000, "a", "end"]],
    ["after the first text", ["a", 60_000, "end"]],
  ] as const)("stops the provider %s", async (_, script) => {
    provider.scripts = [[...script]];
    const ticket = await relay.tickets.sign("vip");
    const answering = stream({ text: "x", id: "cancel-me" }, { ticket });
    await vi.waitUntil(() => provider.chats.length === 1);
    const cancelled = await post("/chat/cancel-me/cancel", {}, { ticket });
    expect(await cancelled.json()).toEqual({ id: "cancel-me", cancelled: true });
    const response = await answering;
    if (script[0] === "a")
      expect((await readItems(response)).at(-1)).toMatchObject({ error: { code: "cancelled" }, text: "a" });
    else expect(await errorOf(response)).toBe("cancelled");
    expect(provider.stoppedAt).toBeDefined();
    await host.idle();
    expect(relay.usage.settled).toHaveLength(1);
  });

  it("stops a long chat even when the ticket has expired", async () => {
    provider.scripts = [["a", 60_000, "end"]];
    const response = await stream({ text: "x", id: "cancel-me" });
    await sleep(1_100);
    const late = await relay.tickets.sign("vip", { ageMs: 300_000 });
    expect((await post("/chat/cancel-me/cancel", {}, { ticket: late })).status).toBe(200);
    await response.text();
  });

  it("gets not_found for another user's chat and for an unknown chat", async () => {
    provider.scripts = [["a", 300, "end"]];
    const response = await stream({ text: "x", id: "cancel-me" });
    const other = await relay.tickets.sign("vip", { sub: "user-2" });
    expect(await errorOf(await post("/chat/cancel-me/cancel", {}, { ticket: other }))).toBe("not_found");
    expect(await errorOf(await post("/chat/other-one/cancel", {}))).toBe("not_found");
    expect(await errorOf(await post("/chat/cancel-me/cancel", {}, { ticket: "nonsense" }))).toBe("ticket_invalid");
    expect((await readItems(response)).at(-1)).toMatchObject({ done: true });
  });
});

describe("A reader", () => {
  /** Sends pieces of 64 kB until it is aborted. Counts the pieces. */
  class EndlessProvider extends ScriptedProvider {
    pieces = 0;

    override async *stream(_: ProviderChat, signal: AbortSignal): AsyncGenerator<ProviderEvent, void, void> {
      for (; !signal.aborted; this.pieces++) yield { text: "x".repeat(64 * 1024) };
    }
  }

  it("who stops reading also pauses the provider's stream", async () => {
    const endless = new EndlessProvider();
    provider = endless;
    await start();
    const ticket = await relay.tickets.sign("vip");
    const response = await stream({ text: "x", id: "slow-reader" }, { ticket });
    await sleep(300);
    const { pieces } = endless;
    await sleep(300);
    // The buffers of both sockets are full.
    expect(endless.pieces).toBe(pieces);
    expect(pieces).toBeLessThan(200);
    await post("/chat/slow-reader/cancel", {}, { ticket });
    expect((await readItems(response)).at(-1)).toMatchObject({ error: { code: "cancelled" } });
  });

  it("who disconnects without a cancellation does not stop the chat", async () => {
    provider.scripts = [["a", 300, "b", "end"]];
    const leaving = new AbortController();
    const response = await stream({ text: "x" }, { signal: leaving.signal });
    leaving.abort();
    await response.text().catch(() => {});
    await host.idle();
    expect(provider.stoppedAt).toBeUndefined();
    expect(relay.usage.settled).toEqual([110]);
  });
});

describe("An answer", () => {
  it("has a body and exactly one last event, whatever the provider does", async () => {
    const failure = new ProviderFailure("broken", "cut");
    const scripts = [
      [],
      ["a"],
      [failure],
      ["a", failure],
      ["end"],
      [new Error("x")],
      ["a", new Error("x")],
      [10, "a", "end"],
    ];
    for (const script of scripts) {
      provider.scripts = [script as (string | number | Error)[]];
      const response = await stream();
      if (response.status === 200) expect((await readItems(response)).filter(isEnd)).toHaveLength(1);
      else await errorOf(response);
    }
  });

  it("has an error code of the registry for every bad request", async () => {
    const codes = await Promise.all([
      errorOf(await post("/other", {})),
      errorOf(await fetch(`${host.url}/chat`)),
      errorOf(await post("/chat", "{")),
      errorOf(await post("/chat", `{"text":${"[".repeat(1_000)}${"]".repeat(1_000)}}`)),
      errorOf(await post("/chat", { text: "x".repeat(6_000_000) })),
      errorOf(await fetch(`${host.url}/chat`, { method: "POST", body: "text" })),
    ]);
    expect(codes).toEqual(["not_found", "not_found", ...Array(4).fill("invalid_input")]);
    // The log has one line for each refusal.
    for (const code of codes) expect(log.join("\n")).toContain(`"code":"${code}"`);
    expect(log).toHaveLength(codes.length);
  });

  it("leaves no prompt, reply, ticket or address in the log", async () => {
    const canaries = ["canary-prompt", "canary-reply", "198.51.100.77", "user-canary"];
    const ticket = await relay.tickets.sign("vip", { sub: "user-canary" });
    const call = { ticket, address: "198.51.100.77" };
    const scripts = [
      ["canary-reply", "end"],
      ["canary-reply", new ProviderFailure("invalid_request", "400")],
      [new Error("failed with canary-prompt")],
    ];
    for (const script of scripts) {
      provider.scripts = [script as (string | Error)[]];
      await (await stream({ text: "canary-prompt" }, call)).text();
    }
    await post("/chat", '{"text": "canary-prompt', call);
    await post("/chat", { conversation: [{ role: "user", content: "canary-prompt" }] }, call);
    await host.idle();
    expect(log.length).toBeGreaterThanOrEqual(3);
    for (const secret of [...canaries, ticket]) expect(log.join("\n")).not.toContain(secret);
  });
});
