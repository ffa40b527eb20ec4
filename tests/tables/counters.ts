import { expect, it } from "vitest";
import { createCounters } from "../../functions/tables/counters";
import { readEphemeral } from "./items";
import type { Tables } from "./tables";

/** What `functions/tables/counters.ts` promises. */
export function testCounters(tables: () => Tables): void {
  const rate = { limit: 5, windowSeconds: 300 };
  // The start of a window, so that what is close together is in the same.
  const start = new Date(Math.ceil(Date.now() / 300_000) * 300_000);
  const later = (seconds: number) => new Date(start.getTime() + seconds * 1000);

  it("allows exactly so many uses, however many come at once", async () => {
    const count = createCounters(tables().ephemeral);
    const uses = Array.from({ length: 60 }, () => count("a", { ...rate, limit: 25 }, start));
    const ended = await Promise.allSettled(uses);
    const refused = ended.filter((one) => one.status === "rejected");
    expect(refused.map(({ reason }) => reason.code)).toEqual(Array(35).fill("rate_limited"));
  });

  it("counts each key by itself, and each window anew", async () => {
    const count = createCounters(tables().ephemeral);
    for (let use = 0; use < 5; use++) await count("a", rate, start);
    await expect(count("a", rate, later(299.9))).rejects.toMatchObject({ code: "rate_limited", retryAfterSeconds: 1 });
    await expect(count("a", rate, start)).rejects.toMatchObject({ retryAfterSeconds: 300 });
    await count("b", rate, start);
    // The item of the last window is still in the table.
    await count("a", rate, later(300));
    expect(await readEphemeral(tables(), `rate#a#${start.getTime() / 300_000}`)).toMatchObject({ uses: 5 });
  });

  it("leaves an item that outlives its window, and not for long", async () => {
    const count = createCounters(tables().ephemeral);
    for (const seconds of [0, 299]) {
      await count("a", rate, later(seconds));
      // TTL takes Unix seconds, as a number; anything else stays for ever or goes at once.
      const { ttl } = (await readEphemeral(tables(), `rate#a#${start.getTime() / 300_000}`)) ?? {};
      expect(ttl).toBeTypeOf("number");
      expect(ttl).toBeGreaterThanOrEqual(later(300).getTime() / 1000);
      expect(ttl).toBeLessThanOrEqual(later(900).getTime() / 1000);
    }
  });

  it("allows nothing that it cannot count", async () => {
    await expect(createCounters("no-such-table")("a", rate, start)).rejects.toMatchObject({ code: "unavailable" });
  });
}
