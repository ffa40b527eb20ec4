import { describe, expect, it } from "vitest";
import { Usage } from "../../../contract/relay";
import {
  cancel,
  estimateUsage,
  isCancelled,
  readUsage,
  reserve,
  settle,
  totalTokens,
  type UsageState,
  usageEnd,
  worstCase,
} from "../../../functions/core/relay/usage";
import { chatWith } from "./scriptedProvider";

const limits = { chatsPerMinute: 3, tokensPerDay: 1_000 };
const noon = new Date("2026-11-27T12:00:00Z");
const midnight = new Date("2026-11-28T00:00:00Z");
const later = (seconds: number, from = noon) => new Date(from.getTime() + seconds * 1000);
const request = (chatId: string, tokens = 100, owner = "u") => ({
  ...{ chatId, owner, tokens, limits },
  request: crypto.randomUUID(),
});

/** Reserves the chats in order. Returns the final state. */
function reserved(chats: [id: string, tokens: number][], now = noon): UsageState {
  return chats.reduce<UsageState | undefined>((state, [id, tokens]) => {
    const { next, refusal } = reserve(state, request(id, tokens), now);
    expect(refusal).toBeUndefined();
    return next;
  }, undefined) as UsageState;
}

describe("reserve", () => {
  it("admits chats up to the limit per minute", () => {
    const state = reserved([
      ["chat-0001", 1],
      ["chat-0002", 1],
      ["chat-0003", 1],
    ]);
    expect(reserve(state, request("chat-0004", 1), noon).refusal).toEqual({
      code: "rate_limited",
      retryAfterSeconds: 60,
    });
    expect(reserve(state, request("chat-0004", 1), later(59.5)).refusal).toMatchObject({ retryAfterSeconds: 1 });
    expect(reserve(state, request("chat-0004", 1), later(60)).next).toMatchObject({ chats: 1 });
  });

  it("counts chats that have ended in the same minute", () => {
    let state = reserved([
      ["chat-0001", 1],
      ["chat-0002", 1],
      ["chat-0003", 1],
    ]);
    state = settle(state, { chatId: "chat-0001", tokens: 1 }, noon) as UsageState;
    expect(reserve(state, request("chat-0004"), noon).refusal?.code).toBe("rate_limited");
  });

  it("admits exactly the tokens of a day, including the tokens of running chats", () => {
    const state = reserved([["chat-0001", 900]]);
    expect(reserve(state, request("chat-0002", 100), noon).next).toBeDefined();
    // The running chat will use less than it reserved.
    expect(reserve(state, request("chat-0002", 101), noon).refusal).toEqual({
      code: "rate_limited",
      retryAfterSeconds: 5,
    });
  });

  it("refuses until midnight when the ended chats have used the day's tokens", () => {
    const state = settle(reserved([["chat-0001", 900]]), { chatId: "chat-0001", tokens: 950 }, noon);
    const twelveHours = 12 * 3600;
    expect(reserve(state, request("chat-0002"), noon).refusal).toMatchObject({ retryAfterSeconds: twelveHours });
    expect(reserve(state, request("chat-0002"), midnight).next).toMatchObject({ tokens: 0 });
    expect(reserve(undefined, request("chat-0002", 1_001), noon).refusal).toMatchObject({
      retryAfterSeconds: twelveHours,
    });
  });

  it("stops counting a reservation after 10 minutes", () => {
    const state = reserved([["chat-0001", 900]]);
    expect(reserve(state, request("chat-0002", 200), later(599)).refusal?.code).toBe("rate_limited");
    const { next } = reserve(state, request("chat-0001", 200), later(600));
    expect(next?.reservations).toHaveLength(1);
  });

  it("refuses the id of a running chat of any owner, and admits the id after that chat", () => {
    const state = reserved([["chat-0001", 1]]);
    expect(reserve(state, request("chat-0001"), noon).refusal).toEqual({ code: "conflict" });
    expect(reserve(state, request("chat-0001", 1, "v"), noon).refusal).toEqual({ code: "conflict" });
    expect(
      reserve(settle(state, { chatId: "chat-0001", tokens: 1 }, noon), request("chat-0001"), noon).next,
    ).toBeDefined();
  });

  it.each(["__proto__", "constructor", "toString"])("treats the id %s like any other id", (id) => {
    const { next } = reserve(undefined, request(id), noon);
    expect(reserve(next, request(id), noon).refusal).toEqual({ code: "conflict" });
    expect(settle(next, { chatId: id, tokens: 7 }, noon)).toMatchObject({ tokens: 7, reservations: [] });
  });
});

describe("settle", () => {
  it("replaces the reservation by the used tokens only once", () => {
    const state = settle(
      reserved([
        ["chat-0001", 900],
        ["chat-0002", 50],
      ]),
      { chatId: "chat-0001", tokens: 40 },
      noon,
    );
    expect(state).toMatchObject({ tokens: 40, reservations: [{ chat_id: "chat-0002" }] });
    expect(settle(state, { chatId: "chat-0001", tokens: 40 }, noon)).toBeUndefined();
    expect(settle(undefined, { chatId: "chat-0001", tokens: 40 }, noon)).toBeUndefined();
  });

  it("counts the tokens on the day on which the chat ends", () => {
    const evening = later(-30, midnight);
    let state = settle(reserved([["chat-0001", 500]], evening), { chatId: "chat-0001", tokens: 400 }, evening);
    state = reserve(state, request("chat-0002", 300), evening).next;
    expect(readUsage(state, limits, midnight).day.tokens).toBe(300);
    state = settle(state, { chatId: "chat-0002", tokens: 20 }, later(30, midnight));
    expect(readUsage(state, limits, later(30, midnight)).day.tokens).toBe(20);
  });

  it("counts the tokens of a chat whose reservation has expired", () => {
    const state = settle(reserved([["chat-0001", 500]]), { chatId: "chat-0001", tokens: 400 }, later(700));
    expect(state).toMatchObject({ tokens: 400, reservations: [] });
  });
});

describe("cancel", () => {
  const cancelled = (state: UsageState | undefined, owner: string, now = noon) =>
    cancel(state, { chatId: "chat-0001", owner }, now);

  it("marks one running chat, and only for its owner", () => {
    const state = reserved([
      ["chat-0001", 1],
      ["chat-0002", 1],
    ]);
    expect(cancelled(state, "v")).toEqual({ found: false });
    const { found, next } = cancelled(state, "u");
    expect(found).toBe(true);
    expect([isCancelled(next, "chat-0001"), isCancelled(next, "chat-0002"), isCancelled(state, "chat-0001")]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it("does not find a chat that has ended, or whose reservation has expired", () => {
    const state = reserved([["chat-0001", 1]]);
    expect(cancelled(settle(state, { chatId: "chat-0001", tokens: 1 }, noon), "u").found).toBe(false);
    expect(cancelled(state, "u", later(600)).found).toBe(false);
    expect(cancelled(undefined, "u").found).toBe(false);
  });

  it("cancels a chat of the same owner that arrives up to a minute later", () => {
    const { next: early } = cancelled(undefined, "u");
    const arrives = (seconds: number, owner: string) =>
      isCancelled(reserve(early, request("chat-0001", 1, owner), later(seconds)).next, "chat-0001");
    expect([arrives(1, "u"), arrives(59, "u"), arrives(60, "u"), arrives(1, "v")]).toEqual([true, true, false, false]);
  });

  it("remembers at most 20 chats that have not arrived", () => {
    let state: UsageState | undefined;
    for (let n = 0; n < 30; n++) state = cancel(state, { chatId: `chat-${n}`, owner: "u" }, noon).next ?? state;
    expect(state?.early_cancels).toHaveLength(20);
  });
});

describe("readUsage", () => {
  it("shows the current minute and day, and counts running chats with their reservations", () => {
    const state = settle(
      reserved([
        ["chat-0001", 500],
        ["chat-0002", 300],
      ]),
      { chatId: "chat-0001", tokens: 40 },
      noon,
    );
    const usage = readUsage(state, limits, later(10.5));
    expect(usage).toEqual({
      minute: { chats: 2, limit: 3, resets_at: "2026-11-27T12:01:00.000Z" },
      day: { tokens: 340, limit: 1_000, resets_at: "2026-11-28T00:00:00.000Z" },
    });
    expect(Usage.parse(usage)).toEqual(usage);
  });

  it("shows zero use without an item, and zero again in the next minute and on the next day", () => {
    const state = settle(reserved([["chat-0001", 500]]), { chatId: "chat-0001", tokens: 40 }, noon);
    expect(readUsage(undefined, limits, noon)).toMatchObject({ minute: { chats: 0 }, day: { tokens: 0 } });
    expect(readUsage(state, limits, later(60))).toMatchObject({ minute: { chats: 0 }, day: { tokens: 40 } });
    expect(readUsage(state, limits, midnight)).toMatchObject({ minute: { chats: 0 }, day: { tokens: 0 } });
  });
});

it("keeps a state until its day has ended and all its reservations have expired", () => {
  expect(usageEnd(reserved([["chat-0001", 1]]))).toBe(midnight.getTime() / 1000 + 600);
});

describe("estimates", () => {
  it("include the persona and every message, and worstCase also includes the longest reply", () => {
    const chat = chatWith(2);
    const { prompt_tokens } = estimateUsage(chat, "");
    expect(prompt_tokens).toBeGreaterThan(estimateUsage(chatWith(1), "").prompt_tokens);
    expect(prompt_tokens).toBeGreaterThan(
      estimateUsage({ ...chat, system: { persona: "", greeting: "" } }, "").prompt_tokens,
    );
    expect(estimateUsage(chat, "あ".repeat(100)).completion_tokens).toBe(120);
    expect(worstCase(chat, [])).toEqual({ prompt_tokens, completion_tokens: chat.maxTokens });
    expect(totalTokens(worstCase(chat, [{}]))).toBe(prompt_tokens + 100);
    expect(worstCase(chat, [{}, { thinkingTokens: 1_024 }, { thinkingTokens: 512 }])).toEqual({
      prompt_tokens,
      completion_tokens: chat.maxTokens + 1_024,
    });
  });
});
