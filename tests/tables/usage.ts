import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { expect, it, vi } from "vitest";
import { createUsageTable, type UsageTable } from "../../functions/tables/usage";
import { readEphemeral } from "./items";
import type { Tables } from "./tables";

const limits = { chatsPerMinute: 10, tokensPerDay: 1_000_000 };
const noon = new Date("2026-11-27T12:00:00Z");
const midnight = new Date("2026-11-28T00:00:00Z");
const later = (seconds: number, from = noon) => new Date(from.getTime() + seconds * 1000);
const chat = (chatId: string, over: { account?: string; owner?: string; tokens?: number } = {}) => ({
  account: "user#u",
  owner: "u",
  tokens: 100,
  limits,
  chatId,
  ...over,
});

/** Reserves many chats at the same time. Returns the error code of each refused chat. */
async function reserveMany(count: number, tableOf: (n: number) => UsageTable, tokens: number, most = limits) {
  const reservations = Array.from({ length: count }, (_, n) =>
    tableOf(n).reserve({ ...chat(`chat-${n}`, { tokens }), limits: most }, noon),
  );
  const ended = await Promise.allSettled(reservations);
  return ended.flatMap((one) => (one.status === "rejected" ? [one.reason.code] : []));
}

/** Tests of `functions/tables/usage.ts`, for any server with DynamoDB's API. */
export function testUsage(tables: () => Tables): void {
  /** A new container with an empty cache. */
  const container = () => createUsageTable(tables().ephemeral);
  const item = () => readEphemeral(tables(), "usage#user#u");

  it("never exceeds a limit of 10 chats when one container gets 50 chats at the same time", async () => {
    const usage = container();
    expect(await reserveMany(50, () => usage, 1)).toEqual(Array(40).fill("rate_limited"));
    expect(await usage.read("user#u", limits, noon)).toMatchObject({ minute: { chats: 10 } });
  });

  it("never exceeds a limit of 10 chats when 50 containers get one chat each at the same time", async () => {
    const refused = await reserveMany(50, container, 1);
    expect(refused).toEqual(Array(40).fill("rate_limited"));
    expect(await item()).toMatchObject({ chats: 10 });
  });

  it("never exceeds the tokens of a day when many containers reserve at the same time", async () => {
    const refused = await reserveMany(30, container, 100, { chatsPerMinute: 1_000, tokensPerDay: 1_099 });
    expect(refused).toEqual(Array(20).fill("rate_limited"));
    expect((await item())?.reservations).toHaveLength(10);
  });

  it("retries after another container has changed the item", async () => {
    const [one, other] = [container(), container()];
    await one.reserve(chat("chat-0001"), noon);
    await other.reserve(chat("chat-0002"), noon);
    // The cache of this container has the state before the other container's write.
    await one.reserve(chat("chat-0003"), noon);
    await other.settle({ account: "user#u", chatId: "chat-0001", tokens: 7 }, noon);
    expect(await one.read("user#u", limits, noon)).toMatchObject({ minute: { chats: 3 }, day: { tokens: 207 } });
  });

  it("admits a chat with one write and no read when the account is in the cache", async () => {
    const usage = container();
    await usage.reserve(chat("chat-0001"), noon);
    using send = vi.spyOn(DynamoDBClient.prototype, "send");
    await usage.reserve(chat("chat-0002"), noon);
    await usage.settle({ account: "user#u", chatId: "chat-0002", tokens: 7 }, noon);
    expect(send.mock.calls.map(([command]) => command.constructor.name)).toEqual(["PutItemCommand", "PutItemCommand"]);
  });

  it("has no write conflict within one container", async () => {
    const usage = container();
    using send = vi.spyOn(DynamoDBClient.prototype, "send");
    await reserveMany(20, () => usage, 1, { ...limits, chatsPerMinute: 20 });
    const sent = send.mock.calls.map(([command]) => command.constructor.name);
    expect(sent).toEqual(["GetItemCommand", ...Array(20).fill("PutItemCommand")]);
  });

  it("refuses a chat only after a fresh read", async () => {
    const [one, other] = [container(), container()];
    const one100 = { ...limits, tokensPerDay: 100 };
    await one.reserve({ ...chat("chat-0001"), limits: one100 }, noon);
    await other.settle({ account: "user#u", chatId: "chat-0001", tokens: 0 }, noon);
    await one.reserve({ ...chat("chat-0002"), limits: one100 }, noon);
    await expect(one.reserve({ ...chat("chat-0003"), limits: one100 }, noon)).rejects.toMatchObject({
      code: "rate_limited",
      retryAfterSeconds: 5,
    });
  });

  it("counts a chat only once when the write's response was lost", async () => {
    const usage = container();
    await usage.reserve(chat("chat-0001"), noon);
    const { send } = DynamoDBClient.prototype;
    using spy = vi.spyOn(DynamoDBClient.prototype, "send");
    // Like the SDK after a lost response: the same write is sent again, and its condition fails.
    spy.mockImplementationOnce(async function (this: DynamoDBClient, ...args: unknown[]) {
      await Reflect.apply(send, this, args);
      return Reflect.apply(send, this, args);
    });
    await usage.reserve(chat("chat-0002"), noon);
    expect(await usage.read("user#u", limits, noon)).toMatchObject({ minute: { chats: 2 }, day: { tokens: 200 } });
  });

  it("admits a chat when the write's response was lost and another container has written in the meantime", async () => {
    const [usage, other] = [container(), container()];
    await usage.reserve(chat("chat-0001"), noon);
    const { send } = DynamoDBClient.prototype;
    using spy = vi.spyOn(DynamoDBClient.prototype, "send");
    spy.mockImplementationOnce(async function (this: DynamoDBClient, ...args: unknown[]) {
      await Reflect.apply(send, this, args);
      await other.reserve(chat("chat-0003"), noon);
      return Reflect.apply(send, this, args);
    });
    await usage.reserve(chat("chat-0002"), noon);
    expect(await usage.read("user#u", limits, noon)).toMatchObject({ minute: { chats: 3 }, day: { tokens: 300 } });
    await expect(usage.reserve(chat("chat-0002"), noon)).rejects.toMatchObject({ code: "conflict" });
  });

  it("counts each account separately", async () => {
    const usage = container();
    await usage.reserve(chat("chat-0001"), noon);
    await usage.reserve(chat("chat-0001", { account: "guest#hash", owner: "guest-1" }), noon);
    expect(await usage.read("guest#hash", limits, noon)).toMatchObject({ minute: { chats: 1 } });
    expect(await usage.read("user#nobody", limits, noon)).toMatchObject({ minute: { chats: 0 }, day: { tokens: 0 } });
  });

  it("starts a new count after a minute and after a day", async () => {
    const usage = container();
    await usage.reserve(chat("chat-0001"), later(-1, midnight));
    await usage.settle({ account: "user#u", chatId: "chat-0001", tokens: 60 }, later(-1, midnight));
    expect(await usage.read("user#u", limits, later(-1, midnight))).toEqual({
      minute: { chats: 1, limit: 10, resets_at: "2026-11-28T00:00:00.000Z" },
      day: { tokens: 60, limit: 1_000_000, resets_at: "2026-11-28T00:00:00.000Z" },
    });
    await usage.reserve(chat("chat-0002"), midnight);
    expect(await usage.read("user#u", limits, midnight)).toMatchObject({ minute: { chats: 1 }, day: { tokens: 100 } });
  });

  it("counts a chat on the day on which it is settled", async () => {
    await container().reserve(chat("chat-0001"), later(-10, midnight));
    await container().settle({ account: "user#u", chatId: "chat-0001", tokens: 60 }, later(10, midnight));
    expect(await container().read("user#u", limits, later(10, midnight))).toMatchObject({ day: { tokens: 60 } });
  });

  it("settles a chat only once", async () => {
    const usage = container();
    await usage.reserve(chat("chat-0001"), noon);
    for (const table of [usage, usage, container()]) {
      await table.settle({ account: "user#u", chatId: "chat-0001", tokens: 60 }, noon);
    }
    expect(await usage.read("user#u", limits, noon)).toMatchObject({ day: { tokens: 60 } });
  });

  it("stops counting an unsettled reservation after 10 minutes", async () => {
    await container().reserve(chat("chat-0001"), noon);
    expect(await container().read("user#u", limits, later(599))).toMatchObject({ day: { tokens: 100 } });
    expect(await container().read("user#u", limits, later(600))).toMatchObject({ day: { tokens: 0 } });
    await container().reserve(chat("chat-0001"), later(600));
  });

  it("refuses the id of a running chat with conflict", async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 5 }, () => container().reserve(chat("chat-0001"), noon)),
    );
    const codes = results.flatMap((one) => (one.status === "rejected" ? [one.reason.code] : []));
    expect(codes).toEqual(Array(4).fill("conflict"));
  });

  it("cancels a running chat, and the container that runs it sees the cancellation", async () => {
    const running = container();
    const id = { account: "user#u", chatId: "chat-0001" };
    await running.reserve(chat("chat-0001"), noon);
    expect(await running.isCancelled(id)).toBe(false);
    await container().cancel({ ...id, owner: "u" }, noon);
    expect(await running.isCancelled(id)).toBe(true);
    // A later write of the container that runs the chat must keep the cancellation.
    await running.reserve(chat("chat-0002"), noon);
    expect(await running.isCancelled(id)).toBe(true);
    expect(await running.isCancelled({ ...id, chatId: "chat-0002" })).toBe(false);
  });

  it("throws not_found for another owner, for an unknown id, and after the chat's end", async () => {
    const usage = container();
    const household = { account: "guest#hash" };
    await usage.reserve(chat("chat-0001", { ...household, owner: "guest-1" }), noon);
    const cancels = (chatId: string, owner: string) => container().cancel({ ...household, chatId, owner }, noon);
    const notFound = { code: "not_found" };
    await expect(cancels("chat-0001", "guest-2")).rejects.toMatchObject(notFound);
    await expect(cancels("chat-0002", "guest-1")).rejects.toMatchObject(notFound);
    expect(await usage.isCancelled({ ...household, chatId: "chat-0001" })).toBe(false);
    await usage.settle({ ...household, chatId: "chat-0001", tokens: 1 }, noon);
    await expect(cancels("chat-0001", "guest-1")).rejects.toMatchObject(notFound);
  });

  it("cancels a chat when the cancellation arrives before the chat", async () => {
    const id = { account: "user#u", chatId: "chat-0001" };
    await expect(container().cancel({ ...id, owner: "u" }, noon)).rejects.toMatchObject({ code: "not_found" });
    const usage = container();
    await usage.reserve(chat("chat-0001"), later(1));
    expect(await usage.isCancelled(id)).toBe(true);
  });

  it("gives the item a TTL shortly after the end of its day", async () => {
    await container().reserve(chat("chat-0001"), noon);
    expect((await item())?.ttl).toBe(later(600, midnight).getTime() / 1000);
  });

  it("reads with a consistent read", async () => {
    using send = vi.spyOn(DynamoDBClient.prototype, "send");
    await container().isCancelled({ account: "user#u", chatId: "chat-0001" });
    expect(send.mock.calls[0]?.[0].input).toMatchObject({ ConsistentRead: true });
  });

  it("throws unavailable when the table does not answer", async () => {
    const usage = createUsageTable("no-such-table");
    const id = { account: "user#u", chatId: "chat-0001" };
    const unavailable = { code: "unavailable" };
    await expect(usage.reserve(chat("chat-0001"), noon)).rejects.toMatchObject(unavailable);
    await expect(usage.settle({ ...id, tokens: 1 }, noon)).rejects.toMatchObject(unavailable);
    await expect(usage.cancel({ ...id, owner: "u" }, noon)).rejects.toMatchObject(unavailable);
    await expect(usage.isCancelled(id)).rejects.toMatchObject(unavailable);
    await expect(usage.read("user#u", limits, noon)).rejects.toMatchObject(unavailable);
  });
}
