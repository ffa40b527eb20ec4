import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startFaultyProvider } from "../../../verify/failover/faultyProvider";
import { type Fault, wholeReply } from "../../../verify/failover/wire/fault";
import type { FaultyServer } from "../../../verify/failover/wire/faultyServer";
import { HUGGINGFACE_TOKEN, huggingface } from "../../../verify/failover/wire/openai";
import { GARBAGE } from "../../../verify/failover/wire/wire";

const SCALE = 20;
let server: FaultyServer;
beforeEach(async () => {
  server = await startFaultyProvider({ wire: huggingface, mark: "桃", scale: SCALE });
});
afterEach(() => server.close());

function send(fault: Fault, signal?: AbortSignal): Promise<Response> {
  server.play(() => fault);
  return fetch(`${server.url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${HUGGINGFACE_TOKEN}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "m", messages: [{ role: "user", content: "こんばんは" }], stream: true }),
    ...(signal && { signal }),
  });
}

/** Text of the reply, and the raw stream. */
async function read(fault: Fault) {
  const raw = await (await send(fault)).text();
  const tokens = [...raw.matchAll(/"content":"(桃\d\d)"/g)].map(([, token]) => token);
  return { raw, tokens };
}

describe("a fault on the connection", () => {
  test("`none` returns the whole reply with the vendor's final event", async () => {
    const { raw, tokens } = await read({ kind: "none" });
    expect(tokens.join("")).toBe(wholeReply("桃"));
    expect(raw).toMatch(/"finish_reason":"stop".*"usage":\{.*\[DONE\]/s);
    expect(server.requests).toMatchObject([{ fault: "none", promptChars: 5, tokens: 60, complete: true }]);
  });

  test("`refuse` returns the vendor's error with Retry-After", async () => {
    const response = await send({ kind: "refuse", error: "rate_limited", retryAfterMs: 2_000 });
    expect([response.status, response.headers.get("retry-after")]).toEqual([429, "2"]);
    expect(await response.json()).toMatchObject({ error: { code: "rate_limit_exceeded" } });
  });

  test("`reset` sends no byte of a response", async () => {
    await expect(send({ kind: "reset" })).rejects.toMatchObject({ cause: { code: "ECONNRESET" } });
  });

  test("`silent` sends no response until the client disconnects", async () => {
    await expect(send({ kind: "silent" }, AbortSignal.timeout(100))).rejects.toThrow(/timeout/);
    await sleep(20);
    expect(server.requests[0]).toMatchObject({ fault: "silent", complete: false, abandonedAtMs: expect.any(Number) });
  });

  test("`slow` sends headers at once, and the first text late", async () => {
    const startedAt = performance.now();
    const response = await send({ kind: "slow", firstTextMs: 20_000 });
    expect(performance.now() - startedAt).toBeLessThan(900);
    await response.text();
    expect(performance.now() - startedAt).toBeGreaterThan(980);
  });

  test("`cut` with a closed connection gives the client an error after 40 tokens", async () => {
    await expect(read({ kind: "cut", afterTokens: 40, connection: "closed" })).rejects.toThrow(/terminated/);
    expect(server.requests[0]).toMatchObject({ tokens: 40, complete: false });
  });

  test("`cut` with an ended body sends 40 tokens without the end of the reply", async () => {
    const { raw, tokens } = await read({ kind: "cut", afterTokens: 40, connection: "ended" });
    expect(tokens).toHaveLength(40);
    expect(raw).not.toMatch(/"finish_reason":"|\[DONE\]/);
  });

  test("`malformed` sends all tokens, and one event that is not JSON", async () => {
    const { raw, tokens } = await read({ kind: "malformed", afterTokens: 10 });
    expect(tokens.join("")).toBe(wholeReply("桃"));
    expect(raw).toContain(GARBAGE);
  });

  test("`unterminated` sends finish reason and usage, but no final event", async () => {
    const { raw } = await read({ kind: "unterminated", connection: "ended" });
    expect(raw).toMatch(/"finish_reason":"stop".*"usage":\{/s);
    expect(raw).not.toContain("[DONE]");
  });

  test("`filtered` sends a finish reason without text", async () => {
    const { raw, tokens } = await read({ kind: "filtered" });
    expect(tokens).toEqual([]);
    expect(raw).toContain('"finish_reason":"content_filter"');
  });
});

test("a script gets only valid requests, and refused requests are recorded", async () => {
  const response = await fetch(`${server.url}/v1/chat/completions`, { method: "POST", body: "{}" });
  expect(response.status).toBe(401);
  expect(server.requests).toMatchObject([{ fault: "invalid", refusal: { status: 401 } }]);
});
