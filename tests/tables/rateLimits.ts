import { expect, it } from "vitest";
import { createRateLimiter } from "../../functions/tables/rateLimits";
import { readEphemeral } from "./items";
import type { Tables } from "./tables";

/** Tests of `functions/tables/rateLimits.ts`, for any server with DynamoDB's API. */
export function testRateLimits(tables: () => Tables): void {
  const rate = { limit: 5, windowSeconds: 300 };
  // Start of a window, so that nearby times fall into the same window.
  const start = new Date(Math.ceil(Date.now() / 300_000) * 300_000);
  const later = (seconds: number) => new Date(start.getTime() + seconds * 1000);

  it("allows exactly the limit when uses are concurrent", async () => {
    const count = createRateLimiter(tables().ephemeral);
    const uses = Array.from({ length: 60 }, () => count("sync#a", { ...rate, limit: 25 }, start));
    const ended = await Promise.allSettled(uses);
    const refused = ended.filter((one) => one.status === "rejected");
    expect(refused.map(({ reason }) => reason.code)).toEqual(Array(35).fill("rate_limited"));
  });

  it("counts each key and window separately", async () => {
    const count = createRateLimiter(tables().ephemeral);
    for (let use = 0; use < 5; use++) await count("sync#a", rate, start);
    await expect(count("sync#a", rate, later(299.9))).rejects.toMatchObject({
      code: "rate_limited",
      retryAfterSeconds: 1,
    });
    await expect(count("sync#a", rate, start)).rejects.toMatchObject({ retryAfterSeconds: 300 });
    await count("sync#b", rate, start);
    // A new window starts at zero, although the previous window's item is still in the table.
    await count("sync#a", rate, later(300));
    expect(await readEphemeral(tables(), `rate#sync#a#${start.getTime() / 300_000}`)).toMatchObject({ uses: 5 });
  });

  it("sets a TTL that ends at most 10 minutes after the window", async () => {
    const count = createRateLimiter(tables().ephemeral);
    for (const seconds of [0, 299]) {
      await count("sync#a", rate, later(seconds));
      // DynamoDB needs the TTL as a number in Unix seconds. Items with another value never expire, or expire at once.
      const { ttl } = (await readEphemeral(tables(), `rate#sync#a#${start.getTime() / 300_000}`)) ?? {};
      expect(ttl).toBeTypeOf("number");
      expect(ttl).toBeGreaterThanOrEqual(later(300).getTime() / 1000);
      expect(ttl).toBeLessThanOrEqual(later(900).getTime() / 1000);
    }
  });

  it("throws unavailable when the table does not answer", async () => {
    await expect(createRateLimiter("no-such-table")("sync#a", rate, start)).rejects.toMatchObject({
      code: "unavailable",
    });
  });
}
