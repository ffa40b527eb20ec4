import { expect, it } from "vitest";
import { noReplies, type ReplyCounts } from "../../functions/core/canary/verdict";
import { createReplyCounts } from "../../functions/tables/replyCounts";
import { readEphemeral } from "./items";
import type { Tables } from "./tables";

/** Tests of `functions/tables/replyCounts.ts`, for any server with DynamoDB's API. */
export function testReplyCounts(tables: () => Tables): void {
  const at = (minutes: number) => new Date(Date.UTC(2026, 0, 1) + minutes * 60_000);
  const open = () => createReplyCounts(tables().ephemeral);
  const released = { model: "mistral" } as const;
  const candidate = { model: "mistral", image: "registry.example/mistral:2" } as const;
  const reply = (more: Partial<ReplyCounts> = {}) => ({ ...noReplies(), replies: 1, ...more });
  const fast = noReplies().firstText.with(0, 1);

  it("add up in slots of five minutes, for each version and from many writers at once", async () => {
    await Promise.all(Array.from({ length: 10 }, () => open().add(candidate, reply({ firstText: fast }), at(0))));
    await open().add(candidate, reply({ failed: 1, empty: 1, invalid: 1 }), at(4.9));
    await open().add(candidate, reply(), at(5));
    await open().add(released, reply(), at(0));
    const slots = await open().read(candidate, at(-60), at(10));
    expect(slots).toHaveLength(6);
    expect(slots.slice(-2)).toEqual([
      { replies: 11, failed: 1, empty: 1, invalid: 1, firstText: noReplies().firstText.with(0, 10) },
      reply(),
    ]);
    expect((await open().read(released, at(-60), at(10))).map(({ replies }) => replies)).toEqual([0, 0, 0, 0, 1, 0]);
  });

  it("of the present slot and of slots that began too early are not read", async () => {
    for (const minutes of [0, 5, 10, 15]) await open().add(released, reply(), at(minutes));
    const slots = await open().read(released, at(3), at(16));
    expect(slots.map(({ replies }) => replies)).toEqual([0, 0, 0, 0, 1, 1]);
  });

  it("expire after six hours", async () => {
    await open().add(released, reply(), at(0));
    const slot = Math.floor(at(0).getTime() / 300_000);
    const item = await readEphemeral(tables(), `replies#mistral#${slot}#released`);
    expect(item?.ttl).toBe(at(0).getTime() / 1000 + 6 * 3_600);
  });

  it("throw unavailable when the table does not answer", async () => {
    const counts = createReplyCounts("no-such-table");
    await expect(counts.add(released, reply(), at(0))).rejects.toMatchObject({ code: "unavailable" });
    await expect(counts.read(released, at(-60), at(0))).rejects.toMatchObject({ code: "unavailable" });
  });
}
