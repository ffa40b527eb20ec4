import { expect, it } from "vitest";
import { createKeepAlives } from "../../functions/tables/keepAlives";
import type { Tables } from "./tables";

/** Tests of `functions/tables/keepAlives.ts`, for any server with DynamoDB's API. */
export function testKeepAlives(tables: () => Tables): void {
  const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1) + seconds * 1_000);
  const open = () => createKeepAlives(tables().ephemeral);

  it("makes a new job due at once, but only for one of many callers", async () => {
    const claims = await Promise.all(Array.from({ length: 10 }, () => open().claim("e1", 600, at(0))));
    expect(claims.filter(Boolean)).toHaveLength(1);
    expect(await open().claim("e2", 600, at(0))).toBe(true);
  });

  it("makes a claimed job due again after the lease when nobody has sent it", async () => {
    await open().claim("e1", 600, at(0));
    expect(await open().claim("e1", 600, at(599))).toBe(false);
    expect(await open().claim("e1", 600, at(600))).toBe(true);
  });

  it("makes a sent job due again after its interval", async () => {
    await open().claim("e1", 600, at(0));
    await open().sent("e1", 3_600, at(0));
    expect(await open().claim("e1", 600, at(3_599))).toBe(false);
    expect(await open().claim("e1", 600, at(3_600))).toBe(true);
  });

  it("throws unavailable when the table does not answer", async () => {
    const store = createKeepAlives("no-such-table");
    await expect(store.claim("e1", 600, at(0))).rejects.toMatchObject({ code: "unavailable" });
    await expect(store.sent("e1", 600, at(0))).rejects.toMatchObject({ code: "unavailable" });
  });
}
