import { describe, expect, it } from "vitest";
import { type Customer, entitlement } from "../../functions/core/entitlement";

const now = new Date("2026-11-22T12:00:00Z");

describe("entitlement", () => {
  const cases: [string, Customer | undefined, ReturnType<typeof entitlement>][] = [
    ["no row", undefined, { plan: "free", reason: "no_record", expiresAt: null }],
    [
      "a row without a grant",
      { updated_at: "2026-01-01T00:00:00Z" },
      { plan: "free", reason: "no_plan", expiresAt: null },
    ],
    ["a grant without an end", { grant_plan: "vip" }, { plan: "vip", reason: "grant", expiresAt: null }],
    [
      "a grant that still runs",
      { grant_plan: "paid", grant_expires_at: "2026-11-22T12:00:01Z" },
      { plan: "paid", reason: "grant", expiresAt: new Date("2026-11-22T12:00:01Z") },
    ],
    [
      "a grant that ends at this very moment",
      { grant_plan: "paid", grant_expires_at: "2026-11-22T12:00:00Z" },
      { plan: "free", reason: "grant_expired", expiresAt: null },
    ],
  ];

  it.each(cases)("%s", (_name, customer, expected) => {
    expect(entitlement(customer, now)).toEqual(expected);
  });
});
