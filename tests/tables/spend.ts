import { expect, it } from "vitest";
import { createSpendTable } from "../../functions/tables/spend";
import { readEphemeral } from "./items";
import type { Tables } from "./tables";

/** Tests of `functions/tables/spend.ts`, for any server with DynamoDB's API. */
export function testSpend(tables: () => Tables): void {
  const noon = new Date("2026-11-27T12:00:00Z");
  const tomorrow = new Date("2026-11-28T00:00:00Z");
  const open = () => createSpendTable(tables().ephemeral);
  const item = () => readEphemeral(tables(), "spend#2026-11-27");

  it("never exceeds the ceiling when many chats reserve at the same time", async () => {
    const spend = open();
    const reserved = await Promise.all(Array.from({ length: 50 }, () => spend.reserve(100, 1_050, noon)));
    expect(reserved.filter(Boolean)).toHaveLength(10);
    expect(await item()).toMatchObject({ micro_usd: 1_000 });
  });

  it("allows spend up to exactly the ceiling", async () => {
    expect(await open().reserve(1_001, 1_000, noon)).toBe(false);
    expect(await open().reserve(1_000, 1_000, noon)).toBe(true);
    expect(await open().reserve(1, 1_000, noon)).toBe(false);
    expect(await open().reserve(0, 1_000, noon)).toBe(true);
  });

  it("corrects a reservation to the real costs", async () => {
    await open().reserve(1_000, 1_000, noon);
    await open().settle(-400, noon);
    expect(await open().reserve(400, 1_000, noon)).toBe(true);
    await open().settle(50, noon);
    expect(await item()).toMatchObject({ micro_usd: 1_050 });
  });

  it("begins each UTC day at zero, and applies a correction to the reservation's day", async () => {
    await open().reserve(1_000, 1_000, noon);
    expect(await open().reserve(1_000, 1_000, tomorrow)).toBe(true);
    await open().settle(-1_000, noon);
    expect(await item()).toMatchObject({ micro_usd: 0 });
    expect(await open().reserve(1, 1_000, tomorrow)).toBe(false);
  });

  it("keeps the sum of a day for a week", async () => {
    await open().reserve(1, 1_000, noon);
    expect((await item())?.ttl).toBe(new Date("2026-12-05T00:00:00Z").getTime() / 1000);
  });

  it("throws unavailable when the table does not answer", async () => {
    const spend = createSpendTable("no-such-table");
    await expect(spend.reserve(1, 1_000, noon)).rejects.toMatchObject({ code: "unavailable" });
    await expect(spend.settle(1, noon)).rejects.toMatchObject({ code: "unavailable" });
  });
}
