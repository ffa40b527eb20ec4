import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { expect, it, vi } from "vitest";
import { ApiError } from "../../contract/errors";
import { createUsers } from "../../functions/tables/users";
import { plantUser } from "./items";
import type { Tables } from "./tables";

/** What `functions/tables/users.ts` promises. */
export function testUsers(tables: () => Tables): void {
  it("finds nothing where there is no row", async () => {
    expect(await createUsers(tables().users)("nobody")).toBeUndefined();
  });

  it("gives the facts of a row and nothing that is in the table beside", async () => {
    const facts = { user_id: "u", stripe_customer_id: "cus_1", subscriptions: [], customer_deleted: false };
    await plantUser(tables(), { ...facts, plan: "vip", sync_ticket: 3, applied_ticket: 3 });
    expect(await createUsers(tables().users)("u")).toEqual(facts);
  });

  it.each([
    ["subscriptions that are no list", { subscriptions: "none" }],
    ["a plan it does not know", { grant_plan: "gold" }],
    ["a time that is none", { grant_expires_at: "tomorrow" }],
    ["a fraction of a second", { clock_ahead_seconds: 0.5 }],
  ])("does not take a row with %s for a free one", async (_, wrong) => {
    await plantUser(tables(), { user_id: "u", ...wrong });
    const failed = await createUsers(tables().users)("u").catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(Error);
    // Not something that another try would change.
    expect(failed).not.toBeInstanceOf(ApiError);
  });

  it("reads what was written last: consistently", async () => {
    using send = vi.spyOn(DynamoDBClient.prototype, "send");
    await createUsers(tables().users)("u");
    expect(send).toHaveBeenCalledOnce();
    expect(send.mock.calls[0]?.[0].input).toMatchObject({ ConsistentRead: true });
  });

  it("says that it cannot read", async () => {
    await expect(createUsers("no-such-table")("u")).rejects.toMatchObject({ code: "unavailable" });
  });
}
