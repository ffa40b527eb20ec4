import { describe, expect, test } from "vitest";
import type { RelayItem } from "../../../contract/relay";
import { answered, billedOnce, checkAlways, within } from "../../../verify/failover/checks";
import type { Done, Seen } from "../../../verify/failover/seen";
import { wholeReply } from "../../../verify/failover/wire/fault";
import type { SeenRequest } from "../../../verify/failover/wire/faultyServer";
import { GARBAGE } from "../../../verify/failover/wire/wire";

const whole = wholeReply("桃");
const request: SeenRequest = {
  atMs: 0,
  body: {},
  model: "m",
  promptChars: 5,
  fault: "none",
  tokens: 60,
  complete: true,
};

function done(changes: Partial<Done> = {}): RelayItem {
  return {
    done: true,
    id: "chat-0001",
    text: whole,
    finish_reason: "stop",
    usage: { prompt_tokens: 5, completion_tokens: 60 },
    provider: "openai",
    model: { plan: "vip", name: "m", version: "m" },
    timings: { ttft_ms: 1, total_ms: 2 },
    attempts: 1,
    ...changes,
  };
}

function seen(items: RelayItem[], changes: Partial<Seen> = {}): Seen {
  const reply = { items, totalMs: 1_000, billedTokens: [65] };
  return { reply, primary: [request], fallback: [], isOneRoute: false, scale: 1, ...changes };
}

const problemsOf = (chat: Seen) => checkAlways(chat).filter((problem) => problem !== undefined);
const error: RelayItem = { error: { code: "unavailable", message: "", retryable: true } };

describe("the check of a chat without a problem", () => {
  test("accepts a complete reply", () => {
    expect(problemsOf(seen([{ delta: whole }, done()]))).toEqual([]);
  });

  test("accepts a restarted reply of the fallback", () => {
    const text = wholeReply("梨");
    const items = [{ delta: "桃01" }, { restart: true as const }, { delta: text }, done({ text, attempts: 2 })];
    expect(problemsOf(seen(items, { fallback: [request] }))).toEqual([]);
  });
});

describe("the check of a chat with a problem", () => {
  test.each<[string, Seen, RegExp]>([
    ["a stream without an end", seen([{ delta: whole }]), /has 0 such items/],
    ["an end before the final item", seen([done(), { delta: whole }]), /done or error/],
    ["a truncated reply", seen([{ delta: "桃01" }, done({ text: "桃01" })]), /incomplete text of 3 characters/],
    ["deltas that differ from the text", seen([{ delta: "桃01" }, done()]), /differs from the deltas/],
    ["text of a malformed event", seen([{ delta: GARBAGE }, error]), /malformed event/],
    ["a wrong number of attempts", seen([{ delta: whole }, done({ attempts: 2 })]), /2 attempts after 1 requests/],
    [
      "usage that includes a failed attempt",
      seen([{ delta: whole }, done({ usage: { prompt_tokens: 10, completion_tokens: 120 } })]),
      /includes a failed attempt/,
    ],
    ["a refused request", seen([error], { primary: [{ ...request, fault: "invalid" }] }), /sent an invalid request/],
    [
      "a request that stays open",
      seen([error], { primary: [{ ...request, fault: "silent", complete: false }] }),
      /silent request stayed open/,
    ],
  ])("reports %s", (_, chat, problem) => {
    expect(problemsOf(chat).join("; ")).toMatch(problem);
  });

  test("reports an error when a second provider exists", () => {
    expect(answered(seen([error]))).toBe("not answered: unavailable");
    expect(answered(seen([error], { isOneRoute: true }))).toBeUndefined();
  });

  test("reports a reply of the wrong provider", () => {
    expect(answered(seen([{ delta: whole }, done()]), "fallback")).toBe("not answered by the fallback");
  });

  test("reports a chat that takes too long", () => {
    expect(within(seen([error]), 999)).toBe("took 1000 ms, limit 999 ms");
  });

  test("reports a bill that includes failed attempts", () => {
    const chat = seen([{ delta: whole }, done()]);
    expect(billedOnce(chat)).toBeUndefined();
    expect(billedOnce({ ...chat, reply: { ...chat.reply, billedTokens: [130] } })).toBe("billed 130 tokens, used 65");
  });
});
