import { expect, it } from "vitest";
import { createSpendTable } from "../../functions/tables/spend";
import { readEphemeral } from "./items";
import type { Tables } from "./tables";

/** Tests of `functions/tables/spend.ts`, for any server with DynamoDB's API. */
export function testSpend(tables: () => Tables): void {
  const noon = new Date("2026-11-27T12:00:00Z");
  const tomorrow = new Date("2026-11-28T00:00:00Z");
  const later = (minutes: number) => new Date(noon.getTime() + minutes * 60_000);
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

  it("replaces a reservation by the real costs", async () => {
    await open().reserve(1_000, 1_000, noon);
    await open().settle({ reserved: 1_000, costs: 600 }, noon);
    expect(await open().reserve(400, 1_000, noon)).toBe(true);
    await open().settle({ reserved: 400, costs: 450 }, noon);
    expect(await item()).toMatchObject({ micro_usd: 1_050 });
  });

  it("begins each UTC day at zero, and applies the costs to the reservation's day", async () => {
    await open().reserve(1_000, 1_000, noon);
    expect(await open().reserve(1_000, 1_000, tomorrow)).toBe(true);
    await open().settle({ reserved: 1_000, costs: 0 }, noon);
    expect(await item()).toMatchObject({ micro_usd: 0 });
    expect(await open().reserve(1, 1_000, tomorrow)).toBe(false);
  });

  it("frees the reservation of a crashed relay after 20 minutes, but not before the longest chat has ended", async () => {
    await open().reserve(900, 1_000, noon);
    await open().reserve(100, 1_000, later(9));
    await open().settle({ reserved: 100, costs: 60 }, later(11));
    expect(await open().reserve(900, 1_000, later(19))).toBe(false);
    expect(await open().reserve(900, 1_000, later(20))).toBe(true);
    expect(await item()).toMatchObject({ micro_usd: 960 });
  });

  it("frees an expired reservation only once when many chats reserve at the same time", async () => {
    await open().reserve(1_000, 1_000, noon);
    const spend = open();
    const reserved = await Promise.all(Array.from({ length: 20 }, () => spend.reserve(100, 1_000, later(20))));
    expect(reserved.filter(Boolean)).toHaveLength(10);
    expect(await item()).toMatchObject({ micro_usd: 1_000 });
  });

  it("keeps the reservations of other chats when one reservation expires", async () => {
    await open().reserve(500, 1_000, noon);
    await open().reserve(500, 1_000, later(15));
    expect(await open().reserve(501, 1_000, later(20))).toBe(false);
    expect(await open().reserve(500, 1_000, later(20))).toBe(true);
  });

  it("adds the costs of a chat whose reservation has expired", async () => {
    await open().reserve(1_000, 1_000, noon);
    expect(await open().reserve(1, 1_000, later(20))).toBe(true);
    await open().settle({ reserved: 1_000, costs: 600 }, noon);
    expect(await item()).toMatchObject({ micro_usd: 601 });
  });

  it("keeps the sum of a day for a week", async () => {
    await open().reserve(1, 1_000, noon);
    expect((await item())?.ttl).toBe(new Date("2026-12-05T00:00:00Z").getTime() / 1000);
  });

  it("throws unavailable when the table does not answer", async () => {
    const spend = createSpendTable("no-such-table");
    await expect(spend.reserve(1, 1_000, noon)).rejects.toMatchObject({ code: "unavailable" });
    await expect(spend.settle({ reserved: 1, costs: 1 }, noon)).rejects.toMatchObject({ code: "unavailable" });
  });
}
