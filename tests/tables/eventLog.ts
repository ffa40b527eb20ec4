import { expect, it } from "vitest";
import type { StripeEvent } from "../../functions/stripe/event";
import { createEventLog } from "../../functions/tables/eventLog";
import { readEphemeral } from "./items";
import type { Tables } from "./tables";

/** Tests of `functions/tables/eventLog.ts`, for any server with DynamoDB's API. */
export function testEventLog(tables: () => Tables): void {
  const now = new Date();
  const later = new Date(now.getTime() + 3_600_000);
  const event = (id: string): StripeEvent => ({
    id,
    type: "invoice.paid",
    livemode: false,
    created: Math.floor(now.getTime() / 1000),
    subject: { object: "invoice", id: "in_1" },
  });
  const open = () => createEventLog(tables().ephemeral);

  it("returns the outcomes of handled events and omits other events", async () => {
    const log = open();
    expect(await log.find([])).toEqual(new Map());
    await log.record(event("evt_1"), { outcome: "synced", user_id: "u" }, now);
    await log.record(event("evt_2"), { outcome: "foreign" }, now);
    const handled_at = now.toISOString();
    expect(await log.find(["evt_1", "evt_2", "evt_3"])).toEqual(
      new Map([
        ["evt_1", { outcome: "synced", user_id: "u", handled_at, times: 1 }],
        ["evt_2", { outcome: "foreign", handled_at, times: 1 }],
      ]),
    );
  });

  it("accepts duplicate ids in one lookup", async () => {
    const log = open();
    await log.record(event("evt_1"), { outcome: "foreign" }, now);
    expect([...(await log.find(["evt_1", "evt_2", "evt_1"])).keys()]).toEqual(["evt_1"]);
  });

  it("stores the newest outcome and the number of deliveries", async () => {
    const log = open();
    await log.record(event("evt_1"), { outcome: "foreign" }, now);
    await log.record(event("evt_1"), { outcome: "synced", user_id: "u" }, later);
    const handled = { outcome: "synced", user_id: "u", handled_at: later.toISOString() };
    expect((await log.find(["evt_1"])).get("evt_1")).toEqual({ ...handled, times: 2 });

    const again = () => log.record(event("evt_1"), { outcome: "synced", user_id: "u" }, later);
    await Promise.all(Array.from({ length: 20 }, again));
    expect((await log.find(["evt_1"])).get("evt_1")).toEqual({ ...handled, times: 22 });
  });

  it("finds a hundred events in one lookup", async () => {
    const log = open();
    const ids = Array.from({ length: 100 }, (_, n) => `evt_${n}`);
    await Promise.all(ids.slice(1).map((id) => log.record(event(id), { outcome: "foreign" }, now)));
    expect([...(await log.find(ids)).keys()].sort()).toEqual(ids.slice(1).sort());
  });

  it("keeps an event for 30 days after its newest delivery", async () => {
    const log = open();
    for (const at of [now, later]) {
      await log.record(event("evt_1"), { outcome: "foreign" }, at);
      const ttl = Math.floor(at.getTime() / 1000) + 30 * 86_400;
      expect(await readEphemeral(tables(), "evt#evt_1")).toMatchObject({ type: "invoice.paid", ttl });
    }
  });

  it("throws unavailable when the table does not answer", async () => {
    const log = createEventLog("no-such-table");
    const unavailable = { code: "unavailable" };
    await expect(log.record(event("evt_1"), { outcome: "foreign" }, now)).rejects.toMatchObject(unavailable);
    await expect(log.find(["evt_1"])).rejects.toMatchObject(unavailable);
  });
}
