import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { expect, it, vi } from "vitest";
import { ApiError } from "../../contract/errors";
import { createUsers } from "../../functions/tables/users";
import { plantUser } from "./items";
import type { Tables } from "./tables";

/** Tests of `functions/tables/users.ts`, for any server with DynamoDB's API. */
export function testUsers(tables: () => Tables): void {
  it("returns undefined when the user has no row", async () => {
    expect(await createUsers(tables().users)("nobody")).toBeUndefined();
  });

  it("returns the facts of a row and omits its other attributes", async () => {
    const facts = { user_id: "u", stripe_customer_id: "cus_1", subscriptions: [], customer_deleted: false };
    await plantUser(tables(), { ...facts, plan: "vip", sync_ticket: 3, applied_ticket: 3 });
    expect(await createUsers(tables().users)("u")).toEqual(facts);
  });

  it.each([
    ["subscriptions that are not a list", { subscriptions: "none" }],
    ["an unknown plan", { grant_plan: "gold" }],
    ["an invalid time", { grant_expires_at: "tomorrow" }],
    ["a fractional number of seconds", { clock_ahead_seconds: 0.5 }],
  ])("throws for a row with %s", async (_, wrong) => {
    await plantUser(tables(), { user_id: "u", ...wrong });
    const failed = await createUsers(tables().users)("u").catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(Error);
    // The error is not the retryable `unavailable`, because a retry cannot repair the row.
    expect(failed).not.toBeInstanceOf(ApiError);
  });

  it("uses a consistent read", async () => {
    using send = vi.spyOn(DynamoDBClient.prototype, "send");
    await createUsers(tables().users)("u");
    expect(send).toHaveBeenCalledOnce();
    expect(send.mock.calls[0]?.[0].input).toMatchObject({ ConsistentRead: true });
  });

  it("throws unavailable when the table does not answer", async () => {
    await expect(createUsers("no-such-table")("u")).rejects.toMatchObject({ code: "unavailable" });
  });
}
