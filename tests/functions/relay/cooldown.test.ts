import { beforeEach, describe, expect, it, vi } from "vitest";
import { type CooldownStore, createCooldowns } from "../../../functions/core/relay/cooldown";
import { type FailureCause, failures } from "../../../functions/core/relay/failure";
import { scripted } from "./scriptedProvider";

const [a, b, c] = [scripted("anthropic"), scripted("openai"), scripted("bedrock")];
const keys = { a: "anthropic#anthropic-model", b: "openai#openai-model" };
const at = (seconds: number) => new Date(1_000_000 + seconds * 1000);

/** Storage in memory that several containers can share. */
function memoryStore() {
  const ends = new Map<string, number>();
  const store: CooldownStore = {
    read: vi.fn(async (keys) => new Map([...ends].filter(([key]) => keys.includes(key)))),
    write: vi.fn(async (key, endMs) => void ends.set(key, endMs)),
    replace: vi.fn(async (key, seenMs, endMs) => {
      if (ends.get(key) !== seenMs) return false;
      ends.set(key, endMs);
      return true;
    }),
    remove: vi.fn(async (key) => void ends.delete(key)),
  };
  return { ends, store };
}

let shared: ReturnType<typeof memoryStore>;
beforeEach(() => {
  shared = memoryStore();
});
const container = () => createCooldowns(shared.store);

it("keeps the configured order while every provider is healthy", async () => {
  expect(await container().order([a, b, c], at(0))).toEqual([a, b, c]);
});

it("skips a failed provider for 20 s in the container that saw the failure", async () => {
  const cooldowns = container();
  await cooldowns.order([a, b], at(0));
  await cooldowns.failed(a, "upstream_error", undefined, at(1));
  expect(await cooldowns.order([a, b], at(1))).toEqual([b]);
  expect(await cooldowns.order([a, b], at(20.9))).toEqual([b]);
  expect(await cooldowns.order([a, b], at(21))).toEqual([a, b]);
});

it("skips a failed provider in other containers within 5 s", async () => {
  const [one, other] = [container(), container()];
  await other.order([a, b], at(0));
  await one.failed(a, "timeout", undefined, at(1));
  expect(await other.order([a, b], at(4.9))).toEqual([a, b]);
  expect(await other.order([a, b], at(5))).toEqual([b]);
});

it("extends the cooldown to a longer Retry-After, up to 60 s", async () => {
  for (const [retryAfterMs, seconds] of [
    [5_000, 20],
    [45_000, 45],
    [3_600_000, 60],
  ] as const) {
    await container().failed(a, "rate_limited", retryAfterMs, at(0));
    expect(shared.ends.get(keys.a)).toBe(at(seconds).getTime());
  }
});

it.each(Object.keys(failures) as FailureCause[])("follows the failure table for %s", async (cause) => {
  await container().failed(a, cause, undefined, at(0));
  expect(shared.ends.has(keys.a)).toBe(failures[cause].cooldown === "provider");
});

it("tries the provider whose cooldown ends first when all are in cooldown", async () => {
  const cooldowns = container();
  await cooldowns.failed(a, "rate_limited", 50_000, at(0));
  await cooldowns.failed(b, "rate_limited", 30_000, at(0));
  expect(await cooldowns.order([a, b], at(1))).toEqual([b]);
});

describe("after its cooldown", () => {
  it("a provider is tried by only one chat of all containers", async () => {
    await container().failed(a, "overloaded", undefined, at(0));
    const orders = await Promise.all(Array.from({ length: 20 }, () => container().order([a, b], at(20))));
    expect(orders.filter(([first]) => first === a)).toHaveLength(1);
  });

  it("a provider is tried by only one of several chats in a container", async () => {
    const cooldowns = container();
    await cooldowns.failed(a, "overloaded", undefined, at(0));
    const orders = await Promise.all(Array.from({ length: 20 }, () => cooldowns.order([a, b], at(20))));
    expect(orders.filter(([first]) => first === a)).toHaveLength(1);
    expect(shared.store.replace).toHaveBeenCalledTimes(1);
  });

  it("all containers use a provider again after it has answered", async () => {
    const [one, other] = [container(), container()];
    await one.failed(a, "overloaded", undefined, at(0));
    expect(await one.order([a, b], at(20))).toEqual([a, b]);
    await one.succeeded(a);
    expect(await one.order([a, b], at(21))).toEqual([a, b]);
    expect(await other.order([a, b], at(21))).toEqual([a, b]);
    expect(shared.ends.size).toBe(0);
  });

  it("a provider that fails again gets a new cooldown", async () => {
    const cooldowns = container();
    await cooldowns.failed(a, "overloaded", undefined, at(0));
    await cooldowns.order([a, b], at(20));
    await cooldowns.failed(a, "overloaded", undefined, at(22));
    expect(await cooldowns.order([a, b], at(41))).toEqual([b]);
    expect(await cooldowns.order([a, b], at(42))).toEqual([a, b]);
  });

  it("a provider is tried again 20 s later when the first chat reported no result", async () => {
    await container().failed(a, "overloaded", undefined, at(0));
    expect(await container().order([a, b], at(20))).toEqual([a, b]);
    expect(await container().order([a, b], at(39))).toEqual([b]);
    expect(await container().order([a, b], at(40))).toEqual([a, b]);
  });

  it("a fallback behind a healthy provider is offered to every chat", async () => {
    await container().failed(b, "overloaded", undefined, at(0));
    for (let chat = 0; chat < 2; chat++) expect(await container().order([a, b], at(20))).toEqual([a, b]);
    expect(shared.store.replace).not.toHaveBeenCalled();
  });
});

describe("the storage", () => {
  it("is read once per 5 s, even with concurrent chats", async () => {
    const cooldowns = container();
    await Promise.all([cooldowns.order([a, b], at(0)), cooldowns.order([a, b], at(0))]);
    await cooldowns.order([a, b], at(4.9));
    expect(shared.store.read).toHaveBeenCalledTimes(1);
    await cooldowns.order([a, b], at(5));
    expect(shared.store.read).toHaveBeenCalledTimes(2);
  });

  it("is not read for a single provider, which is always tried", async () => {
    const cooldowns = container();
    await cooldowns.failed(a, "timeout", undefined, at(0));
    expect(await cooldowns.order([a], at(1))).toEqual([a]);
    expect(await cooldowns.order([], at(1))).toEqual([]);
    expect(shared.store.read).not.toHaveBeenCalled();
  });

  it("is not written when a healthy provider answers", async () => {
    const cooldowns = container();
    await cooldowns.order([a, b], at(0));
    await cooldowns.succeeded(a);
    expect(shared.store.remove).not.toHaveBeenCalled();
  });

  it("does not undo a failure that was recorded during the read", async () => {
    const cooldowns = container();
    const read = Promise.withResolvers<Map<string, number>>();
    vi.mocked(shared.store.read).mockReturnValueOnce(read.promise);
    const order = cooldowns.order([a, b], at(0));
    await cooldowns.failed(a, "timeout", undefined, at(0));
    read.resolve(new Map());
    expect(await order).toEqual([b]);
  });

  it("may fail, because each container also remembers the failures that it saw", async () => {
    const broken = async () => {
      throw new Error("no table");
    };
    const cooldowns = createCooldowns({ read: broken, write: broken, replace: broken, remove: broken });
    expect(await cooldowns.order([a, b], at(0))).toEqual([a, b]);
    await cooldowns.failed(a, "timeout", undefined, at(0));
    expect(await cooldowns.order([a, b], at(10))).toEqual([b]);
    expect(await cooldowns.order([a, b], at(20))).toEqual([a, b]);
    await cooldowns.succeeded(a);
    expect(await cooldowns.order([a, b], at(21))).toEqual([a, b]);
  });
});

it("keeps separate cooldowns for the models of one vendor", async () => {
  const cooldowns = container();
  const newer = { ...a, model: "newer" };
  await cooldowns.failed(a, "not_found", undefined, at(0));
  expect(await cooldowns.order([newer, b], at(1))).toEqual([newer, b]);
});
