import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { type Deadlines, deadlinesOf, withDeadlines } from "../../../functions/core/relay/deadlines";
import type { ProviderEvent } from "../../../functions/core/relay/provider";
import { chatWith, reply, type ScriptStep, scripted } from "./scriptedProvider";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const deadlines: Deadlines = {
  firstTextMs: 1_000,
  gapMs: 1_500,
  totalMs: 20_000,
  minCharsPerSecond: 3,
  speedWindowMs: 2_000,
};
const drip = (waitMs: number, text: string, times: number): ScriptStep[] =>
  Array.from({ length: times }, () => [{ wait: waitMs }, { text }]).flat();

/** Starts to read a stream. `ended` resolves to the stream's error and its end time. */
function start(script: ScriptStep[], over: Partial<Deadlines> = {}, readerMs = 0) {
  const provider = scripted("openai", script);
  const controller = new AbortController();
  const startedAt = Date.now();
  const events: ProviderEvent[] = [];
  const open = (signal: AbortSignal) => provider.stream(chatWith(), signal);
  const ended = (async () => {
    for await (const event of withDeadlines(open, { ...deadlines, ...over }, controller.signal)) {
      events.push(event);
      if (readerMs > 0) await new Promise((resolve) => setTimeout(resolve, readerMs));
    }
  })().then(
    () => ({ error: undefined, endedMs: Date.now() - startedAt }),
    (error: unknown) => ({ error, endedMs: Date.now() - startedAt }),
  );
  return { events, upstream: () => provider.calls[0]?.signal, controller, ended };
}

/** Reads a stream until all timers have fired. */
async function settled(script: ScriptStep[], over: Partial<Deadlines> = {}, readerMs = 0) {
  const { events, upstream, ended } = start(script, over, readerMs);
  await vi.runAllTimersAsync();
  return { events, aborted: upstream()?.aborted, ...(await ended) };
}

it("gives a candidate 45 s to its first text, because the released worker still has to answer after it", () => {
  expect(deadlinesOf({ name: "runpod" })).toMatchObject({ firstTextMs: 180_000, totalMs: 240_000 });
  expect(deadlinesOf({ name: "runpod", isCandidate: true })).toMatchObject({ firstTextMs: 45_000, totalMs: 240_000 });
});

it("forwards a complete reply without an abort, and leaves no timer", async () => {
  const { events, error, aborted } = await settled(reply("あら", "、いらっしゃい"));
  expect(events).toEqual([{ text: "あら" }, { text: "、いらっしゃい" }, { end: { finishReason: "stop" } }]);
  expect({ error, aborted }).toEqual({ error: undefined, aborted: false });
});

it("drops empty texts and does not count them as the first text", async () => {
  const { events, error, endedMs } = await settled([{ text: "" }, { wait: 500 }, { text: "" }, "hang"]);
  expect(events).toEqual([]);
  expect(error).toMatchObject({ reason: "timeout", message: "No text within 1000 ms" });
  expect(endedMs).toBe(1_000);
});

it("ends after the first-text deadline, even if the provider ignores the abort", async () => {
  const { error, endedMs, aborted } = await settled(["hang"]);
  expect(error).toMatchObject({ reason: "timeout", message: "No text within 1000 ms" });
  expect({ endedMs, aborted }).toEqual({ endedMs: 1_000, aborted: true });
});

it("ends after the gap deadline when the text stops", async () => {
  const { error, endedMs, aborted } = await settled([{ wait: 900 }, { text: "あら" }, "hang"]);
  expect(error).toMatchObject({ reason: "timeout", message: "No further text within 1500 ms" });
  expect({ endedMs, aborted }).toEqual({ endedMs: 2_400, aborted: true });
});

it("measures each gap from the previous text", async () => {
  const { error, endedMs } = await settled([...drip(1_400, "十文字の返事です。。", 5), { end: {} }], {
    firstTextMs: 2_000,
  });
  expect({ error, endedMs }).toEqual({ error: undefined, endedMs: 7_000 });
});

it("ends when the text arrives below the minimum speed, although every gap is short", async () => {
  const { error, endedMs, events } = await settled(drip(500, "あ", 100));
  expect(error).toMatchObject({
    reason: "timeout",
    message: expect.stringMatching(/^Only \d characters arrived within \d+ ms$/),
  });
  expect(endedMs).toBe(2_500);
  expect(events.length).toBeGreaterThan(3);
});

it("measures the speed of each window separately", async () => {
  const { error, endedMs } = await settled([...drip(500, "あいうえお", 8), ...drip(500, "あ", 100)]);
  expect(error).toMatchObject({ reason: "timeout" });
  expect(endedMs).toBeGreaterThan(4_500);
  expect(endedMs).toBeLessThanOrEqual(8_500);
});

it("accepts a reply at the minimum speed", async () => {
  const { error } = await settled([...drip(300, "あ", 30), { end: {} }]);
  expect(error).toBeUndefined();
});

it("ends after the total deadline", async () => {
  const { error, endedMs, aborted } = await settled(drip(100, "あいう", 1_000), { totalMs: 5_000 });
  expect(error).toMatchObject({ reason: "timeout", message: "The reply did not end within 5000 ms" });
  expect({ endedMs, aborted }).toEqual({ endedMs: 5_000, aborted: true });
});

it("does not blame the provider for a slow reader", async () => {
  const { error, events } = await settled(reply("あ", "い", "う", "え"), { totalMs: 100_000 }, 5_000);
  expect(error).toBeUndefined();
  expect(events).toHaveLength(5);
});

it("ends after the total deadline even when the reader is slow", async () => {
  const { error } = await settled(reply("あ", "い", "う"), {}, 15_000);
  expect(error).toMatchObject({ reason: "timeout", message: "The reply did not end within 20000 ms" });
});

it("aborts the provider at once when the signal aborts, both before and after the first text", async () => {
  for (const script of [["hang" as const], [{ text: "あら" }, "hang" as const]]) {
    const { upstream, controller, ended } = start(script);
    await vi.advanceTimersByTimeAsync(10);
    controller.abort("left");
    expect(upstream()?.aborted).toBe(true);
    expect(await ended).toEqual({ error: "left", endedMs: 10 });
  }
});

it("does not call the provider when the signal is already aborted", async () => {
  const open = vi.fn();
  const stream = withDeadlines(open, deadlines, AbortSignal.abort("left"));
  await expect(stream.next()).rejects.toBe("left");
  expect(open).not.toHaveBeenCalled();
});

it("aborts the provider when the caller stops reading", async () => {
  const provider = scripted("openai", [{ text: "あら" }, { text: "まあ" }, "hang"]);
  const stream = withDeadlines(
    (signal) => provider.stream(chatWith(), signal),
    deadlines,
    new AbortController().signal,
  );
  expect(await stream.next()).toEqual({ done: false, value: { text: "あら" } });
  await stream.return();
  expect(provider.calls[0]?.signal.aborted).toBe(true);
});

it("throws the provider's error, whether it comes at once or later", async () => {
  const failure = new Error("broken pipe");
  expect(await settled([{ text: "あら" }, { throws: failure }])).toMatchObject({ error: failure, aborted: true });
  const open = () => {
    throw failure;
  };
  await expect(withDeadlines(open, deadlines, new AbortController().signal).next()).rejects.toBe(failure);
});

it("ignores an error of the provider after the deadline", async () => {
  const unhandled = vi.fn();
  process.on("unhandledRejection", unhandled);
  const { error } = await settled([{ wait: 3_000 }, { throws: new Error("late") }]);
  vi.useRealTimers();
  await new Promise((resolve) => setTimeout(resolve, 5));
  process.off("unhandledRejection", unhandled);
  vi.useFakeTimers();
  expect(error).toMatchObject({ reason: "timeout" });
  expect(unhandled).not.toHaveBeenCalled();
});

it("drops a text that arrives in the same tick as the abort", async () => {
  const text = Promise.withResolvers<IteratorResult<ProviderEvent>>();
  const open = () => ({ [Symbol.asyncIterator]: () => ({ next: () => text.promise }) });
  const controller = new AbortController();
  const next = withDeadlines(open, deadlines, controller.signal).next();
  text.resolve({ done: false, value: { text: "あら" } });
  text.promise.then(() => controller.abort("left"));
  await expect(next).rejects.toBe("left");
});

it("ignores an error of the provider while its stream is closed", async () => {
  const unhandled = vi.fn();
  process.on("unhandledRejection", unhandled);
  async function* provider(): AsyncGenerator<ProviderEvent> {
    try {
      yield { end: { finishReason: "stop" } };
    } finally {
      await Promise.reject(new Error("already closed"));
    }
  }
  for await (const _ of withDeadlines(provider, deadlines, new AbortController().signal));
  vi.useRealTimers();
  await new Promise((resolve) => setImmediate(resolve));
  process.off("unhandledRejection", unhandled);
  vi.useFakeTimers();
  expect(unhandled).not.toHaveBeenCalled();
});

it("removes its abort listener when the stream ends", async () => {
  const { signal } = new AbortController();
  const remove = vi.spyOn(signal, "removeEventListener");
  const add = vi.spyOn(signal, "addEventListener");
  const provider = scripted("openai", reply("あら"));
  for await (const _ of withDeadlines((upstream) => provider.stream(chatWith(), upstream), deadlines, signal));
  expect(remove.mock.calls.length).toBe(add.mock.calls.length);
});

it("gives GPU workers enough time for a cold start", () => {
  expect(deadlinesOf({ name: "openai" })).toMatchObject({ firstTextMs: 12_000, totalMs: 60_000 });
  expect(deadlinesOf({ name: "runpod" })).toMatchObject({ firstTextMs: 180_000, totalMs: 240_000, gapMs: 15_000 });
});
