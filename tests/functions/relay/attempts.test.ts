import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  type AttemptEvent,
  type AttemptOptions,
  ChatAborted,
  ChatFailure,
  runAttempts,
} from "../../../functions/core/relay/attempts";
import type { Cooldowns } from "../../../functions/core/relay/cooldown";
import { type Deadlines, deadlinesOf } from "../../../functions/core/relay/deadlines";
import { type FailureCause, failures } from "../../../functions/core/relay/failure";
import { refusalSentence } from "../../../functions/core/relay/mama";
import { chatWith, reply, type ScriptedProvider, type ScriptStep, scripted } from "./scriptedProvider";

const unhandled = vi.fn();

beforeEach(() => {
  process.on("unhandledRejection", unhandled);
  vi.useFakeTimers();
});

afterEach(async () => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
  // Node reports unhandled rejections after the microtasks.
  await new Promise((resolve) => setImmediate(resolve));
  process.off("unhandledRejection", unhandled);
  expect(unhandled).not.toHaveBeenCalled();
});

/** Fake cooldowns that keep the configured order and record every result. */
function recordingCooldowns(): Cooldowns & { marks: string[] } {
  const marks: string[] = [];
  return {
    marks,
    order: async (providers) => [...providers],
    async failed({ name }, reason, retryAfterMs) {
      marks.push(`${name} ${reason}${retryAfterMs === undefined ? "" : ` ${retryAfterMs}`}`);
    },
    async succeeded({ name }) {
      marks.push(`${name} ok`);
    },
  };
}

/** Starts a chat. `ended` resolves to the chat's result or error. */
function start(providers: ScriptedProvider[], over: Partial<AttemptOptions> = {}) {
  const cooldowns = recordingCooldowns();
  const controller = new AbortController();
  const waits: number[] = [];
  const failed: string[] = [];
  const shown: AttemptEvent[] = [];
  const stream = runAttempts({
    providers,
    chat: chatWith(),
    deadlines: deadlinesOf,
    cooldowns,
    signal: controller.signal,
    random: () => 0.5,
    sleep: async (ms) => void waits.push(ms),
    onFailure: ({ name }, { reason }) => failed.push(`${name} ${reason}`),
    ...over,
  });
  async function read() {
    for (;;) {
      const next = await stream.next();
      if (next.done) return next.value;
      shown.push(next.value);
    }
  }
  const ended = read().then(
    (result) => ({ result, error: undefined }),
    (error: unknown) => ({ result: undefined, error }),
  );
  return { shown, waits, failed, marks: cooldowns.marks, controller, stream, ended };
}

/** Runs a chat until all timers have fired. */
async function run(providers: ScriptedProvider[], over: Partial<AttemptOptions> = {}) {
  const { ended, ...chat } = start(providers, over);
  await vi.runAllTimersAsync();
  return { ...chat, ...(await ended), calls: providers.map(({ calls }) => calls.length) };
}

const deltas = (...texts: string[]) => texts.map((delta) => ({ delta }));
const long = "あ".repeat(200);
const causes = Object.keys(failures) as FailureCause[];

it("returns the reply of the first provider with its usage, version and times", async () => {
  const usage = { prompt_tokens: 30, completion_tokens: 5, cached_tokens: 20 };
  const first = scripted("anthropic", [
    { wait: 100 },
    { text: "あら" },
    { wait: 50 },
    { text: "ね" },
    { end: { usage, version: "v-1", finishReason: "length" } },
  ]);
  const chat = await run([first, scripted("openai")]);
  expect(chat.shown).toEqual(deltas("あら", "ね"));
  expect(chat.result).toEqual({
    text: "あらね",
    finishReason: "length",
    usage,
    version: "v-1",
    provider: "anthropic",
    model: "anthropic-model",
    attempts: 1,
    restarted: false,
    ttftMs: 100,
    totalMs: 150,
    calls: [expect.objectContaining({ provider: first, usage })],
  });
  expect(chat.marks).toEqual(["anthropic ok"]);
});

it("estimates the usage and names the configured model when the provider reports neither", async () => {
  const { result } = await run([scripted("openai", reply("あら"))]);
  expect(result).toMatchObject({ version: "openai-model", usage: { completion_tokens: 3 } });
  expect(result?.usage.prompt_tokens).toBeGreaterThan(10);
});

it("does not repeat a call to a candidate, so that the released worker is asked within the limit of calls", async () => {
  const candidate = { ...scripted("runpod", [{ fail: "upstream_error" }]), isCandidate: true } as const;
  const failing = (["anthropic", "openai"] as const).map((name) => scripted(name, [{ fail: "upstream_error" }]));
  const chat = await run([...failing, candidate, scripted("runpod", reply("はい"))]);
  expect(chat.calls).toEqual([2, 2, 1, 1]);
  expect(chat.result).toMatchObject({ text: "はい", provider: "runpod" });
});

describe("before the first text", () => {
  it.each(causes)("reacts to %s as the failure table says", async (cause) => {
    const { retry, fallBack, cooldown, code } = failures[cause];
    const chat = await run([scripted("anthropic", [{ fail: cause }]), scripted("openai", reply("はい"))]);
    expect(chat.calls).toEqual([retry === "once" ? 2 : 1, fallBack ? 1 : 0]);
    if (fallBack) expect(chat.result).toMatchObject({ text: "はい", provider: "openai", restarted: false });
    else expect(chat.error).toMatchObject({ code, text: "" });
    expect(chat.shown).toEqual(fallBack ? deltas("はい") : []);
    expect(cooldown === "none" || chat.marks.includes(`anthropic ${cause}`)).toBe(true);
  });

  it.each(causes)("fails with the code of %s when this is the only failure", async (cause) => {
    const chat = await run([scripted("anthropic", [{ fail: cause }])]);
    expect(chat.error).toBeInstanceOf(ChatFailure);
    expect(chat.error).toMatchObject({ code: failures[cause].code, text: "", cause: { reason: cause } });
  });

  it("uses the same provider's reply when the retry succeeds", async () => {
    const chat = await run([scripted("anthropic", [{ fail: "upstream_error" }], reply("はい")), scripted("openai")]);
    expect(chat.result).toMatchObject({ provider: "anthropic", attempts: 2 });
    expect(chat).toMatchObject({ calls: [2, 0], marks: ["anthropic ok"], failed: ["anthropic upstream_error"] });
  });

  it("waits a random time before a retry, or the time in a Retry-After of at most 2 s", async () => {
    const retried = (retryAfterMs?: number) =>
      scripted(
        "openai",
        [{ fail: "rate_limited", ...(retryAfterMs !== undefined && { retryAfterMs }) }],
        reply("はい"),
      );
    expect((await run([retried()], { random: () => 0 })).waits).toEqual([100]);
    expect((await run([retried()], { random: () => 1 })).waits).toEqual([400]);
    expect((await run([retried(50)])).waits).toEqual([250]);
    expect((await run([retried(2_000)])).waits).toEqual([2_000]);
  });

  it("goes to the next provider at once when Retry-After is longer than 2 s", async () => {
    const busy = scripted("anthropic", [{ fail: "rate_limited", retryAfterMs: 2_001 }]);
    const chat = await run([busy, scripted("openai", reply("はい"))]);
    expect(chat).toMatchObject({ calls: [1, 1], waits: [], marks: ["anthropic rate_limited 2001", "openai ok"] });
  });

  it("reports the shortest Retry-After when all providers refuse", async () => {
    const chat = await run([
      scripted("anthropic", [{ fail: "rate_limited", retryAfterMs: 30_000 }]),
      scripted("openai", [{ fail: "overloaded", retryAfterMs: 8_000 }]),
      scripted("bedrock", [{ fail: "overloaded" }]),
    ]);
    expect(chat.error).toMatchObject({ code: "overloaded", retryAfterMs: 8_000, attempts: 4 });
  });

  it("makes at most two calls to each provider, and at most six calls in total", async () => {
    const names = ["anthropic", "openai", "bedrock", "huggingface"] as const;
    const chat = await run(names.map((name) => scripted(name, [{ fail: "upstream_error" }])));
    expect(chat.calls).toEqual([2, 2, 2, 0]);
    expect(chat.error).toMatchObject({ code: "unavailable", attempts: 6 });
    expect(chat.failed).toHaveLength(6);
  });

  it("reports the preferred provider's failure when the fallback fails with a different failure", async () => {
    const chat = await run([
      scripted("anthropic", [{ fail: "overloaded" }]),
      scripted("openai", [{ fail: "invalid_request" }]),
    ]);
    expect(chat.error).toMatchObject({ code: "overloaded", cause: { reason: "overloaded" } });
  });

  it("asks the next provider after a timeout, and never the silent provider again", async () => {
    const chat = await run([scripted("anthropic", ["hang"]), scripted("openai", reply("はい"))]);
    expect(chat).toMatchObject({ calls: [1, 1], marks: ["anthropic timeout", "openai ok"] });
    expect(chat.result).toMatchObject({ provider: "openai", ttftMs: 12_000 });
  });

  it("treats a stream without an end and a reply without text as broken", async () => {
    for (const script of [[], [{ end: {} }], [{ text: "" }, { end: { finishReason: "length" as const } }]]) {
      const chat = await run([scripted("anthropic", script), scripted("openai", reply("はい"))]);
      expect(chat).toMatchObject({ calls: [2, 1], failed: ["anthropic broken", "anthropic broken"] });
      expect(chat.result?.text).toBe("はい");
    }
  });

  it("treats an unknown error as upstream_error, and the failure's message does not quote the error", async () => {
    const onFailure = vi.fn();
    const chat = await run([scripted("anthropic", [{ throws: new TypeError("a prompt") }])], { onFailure });
    expect(chat.error).toMatchObject({ code: "unavailable" });
    const [, failure] = onFailure.mock.calls[0] ?? [];
    expect(failure).toMatchObject({ reason: "upstream_error", message: expect.not.stringContaining("prompt") });
    expect(failure.cause).toBeInstanceOf(TypeError);
  });

  it("fails as unavailable without any provider", async () => {
    expect((await run([])).error).toMatchObject({ code: "unavailable", attempts: 0 });
  });

  it("asks the providers in the order that the cooldowns return", async () => {
    const cooldowns = { ...recordingCooldowns(), order: async ([a, b]: readonly unknown[]) => [b, a] as never };
    const chat = await run([scripted("anthropic", reply("甲")), scripted("openai", reply("乙"))], { cooldowns });
    expect(chat.result?.text).toBe("乙");
  });
});

describe("a conversation that is too long", () => {
  const tooLong: ScriptStep[] = [{ fail: "context_too_long" }];

  it("loses its oldest turns once for each provider, and becomes shorter with each call", async () => {
    const provider = scripted("anthropic", tooLong);
    const fallback = scripted("openai", tooLong);
    const chat = await run([provider, fallback], { chat: chatWith(19) });
    expect(provider.calls.map((call) => call.chat.messages.length)).toEqual([39, 19]);
    expect(fallback.calls.map((call) => call.chat.messages.length)).toEqual([19, 9]);
    expect(chat.error).toMatchObject({ code: "too_long", attempts: 4 });
    expect(chat).toMatchObject({ waits: [] });
  });

  it("keeps the newest messages, and begins with a user's message", async () => {
    const provider = scripted("anthropic", tooLong, reply("はい"));
    const { result } = await run([provider], { chat: chatWith(5) });
    expect(result).toMatchObject({ text: "はい", attempts: 2 });
    expect(provider.calls[1]?.chat.messages).toEqual(chatWith(5).messages.slice(-5));
    expect(provider.calls[1]?.chat.messages[0]?.role).toBe("user");
  });

  it("is sent to the next provider at once when it has only one message", async () => {
    const chat = await run([scripted("anthropic", tooLong), scripted("openai", reply("はい"))]);
    expect(chat).toMatchObject({ calls: [1, 1] });
    expect(chat.result).toMatchObject({ text: "はい", attempts: 2 });
  });

  it("can be retried once before and once after it is shortened", async () => {
    const provider = scripted(
      "anthropic",
      [{ fail: "upstream_error" }],
      tooLong,
      [{ fail: "upstream_error" }],
      reply("はい"),
    );
    expect((await run([provider], { chat: chatWith(4) })).result).toMatchObject({ text: "はい", attempts: 4 });
  });
});

describe("after the first text", () => {
  it.each(causes)("reacts to %s as the failure table says", async (cause) => {
    const { fallBack, code } = failures[cause];
    const chat = await run([
      scripted("anthropic", [{ text: "あら" }, { fail: cause }]),
      scripted("openai", reply("はい")),
    ]);
    expect(chat.calls).toEqual([1, fallBack ? 1 : 0]);
    if (fallBack) {
      expect(chat.shown).toEqual([{ delta: "あら" }, { restart: true }, { delta: "はい" }]);
      expect(chat.result).toMatchObject({ text: "はい", restarted: true, provider: "openai", attempts: 2 });
    } else expect(chat.error).toMatchObject({ code, text: "あら" });
  });

  it("keeps a text of 200 characters and fails instead of restarting", async () => {
    const providers = (text: string) => [
      scripted("anthropic", [{ text }, { throws: new Error("reset") }]),
      scripted("openai", reply("はい")),
    ];
    const kept = await run(providers(long));
    expect(kept).toMatchObject({ calls: [1, 0], shown: deltas(long), marks: ["anthropic upstream_error"] });
    expect(kept.error).toMatchObject({ code: "unavailable", text: long });
    expect((await run(providers(long.slice(1)))).result).toMatchObject({ text: "はい", restarted: true });
  });

  it("never asks the same provider again", async () => {
    const chat = await run([scripted("anthropic", [{ text: "あら" }])]);
    expect(chat).toMatchObject({ calls: [1], shown: deltas("あら") });
    expect(chat.error).toMatchObject({ code: "unavailable", text: "あら", cause: { reason: "broken" } });
  });

  it("restarts only once", async () => {
    const cut = [{ text: "あら" }, { fail: "broken" as const }];
    const chat = await run([scripted("anthropic", cut), scripted("openai", cut), scripted("bedrock", reply("はい"))]);
    expect(chat.calls).toEqual([1, 1, 0]);
    expect(chat.shown).toEqual([{ delta: "あら" }, { restart: true }, { delta: "あら" }]);
    expect(chat.error).toMatchObject({ code: "unavailable", text: "あら" });
  });

  it("keeps the text, without a restart, when the other providers fail before their first text", async () => {
    const chat = await run([
      scripted("anthropic", [{ text: "あら" }, "hang"]),
      scripted("openai", [{ fail: "invalid_request" }]),
      scripted("bedrock", [{ fail: "overloaded" }]),
    ]);
    expect(chat).toMatchObject({ calls: [1, 1, 2], shown: deltas("あら") });
    expect(chat.error).toMatchObject({ code: "timeout", text: "あら", cause: { reason: "timeout" } });
  });

  it("restarts with the first provider that answers", async () => {
    const chat = await run([
      scripted("anthropic", [{ text: "あら" }]),
      scripted("openai", [{ fail: "auth_or_quota" }]),
      scripted("bedrock", reply("はい")),
    ]);
    expect(chat.shown).toEqual([{ delta: "あら" }, { restart: true }, { delta: "はい" }]);
    expect(chat.marks).toEqual(["anthropic broken", "openai auth_or_quota", "bedrock ok"]);
  });

  it("restarts when the text arrives below the minimum speed", async () => {
    const drip = Array.from({ length: 50 }, () => [{ text: "あ" }, { wait: 1_000 }]).flat();
    const chat = await run([scripted("anthropic", drip), scripted("openai", reply("はい"))]);
    expect(chat.failed).toEqual(["anthropic timeout"]);
    expect(chat.result).toMatchObject({ text: "はい", restarted: true, totalMs: 10_000 });
  });
});

describe("a filtered reply", () => {
  const filtered: ScriptStep = { end: { finishReason: "filter" } };

  it("becomes Mama's refusal when it has no text, and no other provider is asked", async () => {
    const chat = await run([scripted("anthropic", [filtered]), scripted("openai", reply("はい"))]);
    expect(chat).toMatchObject({ calls: [1, 0], shown: deltas(refusalSentence), marks: ["anthropic ok"] });
    expect(chat.result).toMatchObject({ text: refusalSentence, finishReason: "filter" });
  });

  it("keeps the text that came before the filter", async () => {
    const { result } = await run([scripted("anthropic", [{ text: "あら" }, filtered])]);
    expect(result).toMatchObject({ text: "あら", finishReason: "filter" });
  });

  it("replaces another provider's incomplete text", async () => {
    const chat = await run([scripted("anthropic", [{ text: "あら" }]), scripted("openai", [filtered])]);
    expect(chat.shown).toEqual([{ delta: "あら" }, { restart: true }, { delta: refusalSentence }]);
  });
});

describe("an abort", () => {
  it.each([
    ["before the first text", ["hang"] as ScriptStep[], ""],
    ["after the first text", [{ text: "あら" }, "hang"] as ScriptStep[], "あら"],
  ])("%s stops the provider's call in the same tick and keeps the text", async (_, script, text) => {
    const provider = scripted("anthropic", script);
    const chat = start([provider, scripted("openai", reply("はい"))]);
    await vi.advanceTimersByTimeAsync(10);
    chat.controller.abort("cancelled");
    expect(provider.calls[0]?.signal.aborted).toBe(true);
    const { error } = await chat.ended;
    expect(error).toBeInstanceOf(ChatAborted);
    expect(error).toMatchObject({ text, attempts: 1, cause: "cancelled" });
    expect(chat).toMatchObject({ marks: [], failed: [] });
  });

  it("ends the wait before a retry", async () => {
    const provider = scripted("anthropic", [{ fail: "rate_limited", retryAfterMs: 1_000 }]);
    const controller = new AbortController();
    const stream = runAttempts({
      providers: [provider],
      chat: chatWith(),
      deadlines: deadlinesOf,
      cooldowns: recordingCooldowns(),
      signal: controller.signal,
    });
    const next = stream.next();
    setTimeout(() => controller.abort("cancelled"), 100);
    const ended = expect(next).rejects.toMatchObject({ name: "ChatAborted", attempts: 1 });
    await vi.advanceTimersByTimeAsync(100);
    await ended;
    expect(provider.calls).toHaveLength(1);
  });

  it("prevents every call when it comes before the start", async () => {
    const provider = scripted("anthropic", reply("はい"));
    const chat = await run([provider], { signal: AbortSignal.abort("cancelled") });
    expect(chat.error).toMatchObject({ name: "ChatAborted", attempts: 0, calls: [] });
    expect(provider.calls).toEqual([]);
  });

  it("stops the provider's call when the caller stops reading", async () => {
    const provider = scripted("anthropic", [{ text: "あら" }, { text: "まあ" }, "hang"]);
    const stream = runAttempts({
      providers: [provider],
      chat: chatWith(),
      deadlines: deadlinesOf,
      cooldowns: recordingCooldowns(),
      signal: new AbortController().signal,
    });
    await stream.next();
    await stream.return(undefined as never);
    expect(provider.calls[0]?.signal.aborted).toBe(true);
  });
});

describe("the time limit of the whole chat", () => {
  const deadlines = (): Deadlines => ({ ...deadlinesOf({ name: "openai" }), totalMs: 15_000 });

  it("includes earlier calls, and starts no cooldown when it is over", async () => {
    const slow = [{ wait: 10_000 }, { text: "はい" }, { wait: 10_000 }, { end: {} }];
    const chat = await run([scripted("anthropic", ["hang"]), scripted("openai", slow)], { deadlines });
    expect(chat).toMatchObject({ calls: [1, 1], marks: ["anthropic timeout"] });
    expect(chat.error).toMatchObject({ code: "timeout" });
  });

  it("prevents a call to another provider when it has passed", async () => {
    const providers = (["anthropic", "openai", "bedrock"] as const).map((name) => scripted(name, ["hang"]));
    expect((await run(providers, { deadlines })).calls).toEqual([1, 1, 0]);
  });
});

it("counts no tokens for a refused call, and estimates the tokens of a broken or silent call", async () => {
  const usage = { prompt_tokens: 9, completion_tokens: 1 };
  const { result } = await run([
    scripted("anthropic", [{ fail: "auth_or_quota" }]),
    scripted("bedrock", [{ text: "あ".repeat(10) }, { fail: "broken" }]),
    scripted("huggingface", ["hang"]),
    scripted("openai", [{ text: "はい" }, { end: { usage } }]),
  ]);
  const prompt_tokens = result?.calls[1]?.usage.prompt_tokens;
  expect(prompt_tokens).toBeGreaterThan(10);
  expect(result?.calls.map((call) => ({ failure: call.failure, usage: call.usage }))).toEqual([
    { failure: "auth_or_quota", usage: { prompt_tokens: 0, completion_tokens: 0 } },
    { failure: "broken", usage: { prompt_tokens, completion_tokens: 12 } },
    { failure: "timeout", usage: { prompt_tokens, completion_tokens: 0 } },
    { failure: undefined, usage },
  ]);
  expect(result?.usage).toEqual(usage);
});
