import type Stripe from "stripe";
import { describe, expect, it } from "vitest";
import { checkPrices, judgePrices, type PriceFacts } from "../../../../ops/doctor/stripe/prices";
import { API_KEY, stripeFixture } from "../../../local/stripe/fixture";

const price = (changes: Partial<Record<keyof Stripe.Price, unknown>> = {}) =>
  ({
    id: "price_1",
    active: true,
    type: "recurring",
    currency: "jpy",
    unit_amount: 980,
    recurring: { interval: "month", usage_type: "licensed" },
    product: { id: "prod_1", name: "Regular", active: true },
    ...changes,
  }) as Stripe.Price;
const paid = (found: PriceFacts["found"], isSold = true): PriceFacts => ({
  plan: "paid",
  id: "price_1",
  isSold,
  found,
});
const vip: PriceFacts = { plan: "vip", id: "price_2", isSold: true, found: price() };

it("judgePrices accepts active recurring prices, and shows product and amount", () => {
  expect(judgePrices([paid(price()), vip])).toEqual([
    { name: "paid prices", status: "ok", seen: "price_1 (Regular, 980 jpy a month)", todo: "" },
    { name: "vip prices", status: "ok", seen: "price_2 (Regular, 980 jpy a month)", todo: "" },
  ]);
});

it.each([
  ["that does not exist", "missing", /^price_1 does not exist in this account and mode$/],
  ["that is archived", price({ active: false }), /is archived: Checkout refuses it/],
  ["with an archived product", price({ product: { active: false } }), /archived product/],
  ["with a deleted product", price({ product: { deleted: true } }), /archived product/],
  ["that is not recurring", price({ type: "one_time", recurring: null }), /one-time price/],
  ["that is metered", price({ recurring: { interval: "month", usage_type: "metered" } }), /is metered/],
  ["that costs nothing", price({ unit_amount: 0 }), /costs nothing: everybody gets paid/],
] as const)("judgePrices reports a sold price %s as failed", (_what, found, seen) => {
  expect(judgePrices([paid(found), vip])[0]).toMatchObject({
    name: "paid prices",
    status: "failed",
    seen: expect.stringMatching(seen),
    todo: expect.stringContaining("billing.prices.paid"),
  });
});

it("judgePrices shows an amount in the currency's main unit, not in cents", () => {
  const [line] = judgePrices([paid(price({ currency: "usd", unit_amount: 980 }))]);
  expect(line?.seen).toBe("price_1 (Regular, 9.80 usd a month)");
});

it("judgePrices accepts an archived old price, and warns about a missing old price", () => {
  expect(judgePrices([paid(price()), paid(price({ active: false }), false), vip])[0]).toMatchObject({ status: "ok" });
  expect(judgePrices([paid(price()), paid("missing", false), vip])[0]).toMatchObject({ status: "warning" });
});

it("judgePrices warns about a plan without prices and about two currencies", () => {
  const checks = judgePrices([paid(price({ currency: "usd" }))]);
  expect(checks).toMatchObject([{ status: "ok" }, { name: "vip prices", status: "warning" }]);
  expect(judgePrices([paid(price({ currency: "usd" })), vip])).toContainEqual(
    expect.objectContaining({ name: "price currencies", status: "warning" }),
  );
});

it("judgePrices reports unknown when Stripe does not show a price", () => {
  expect(
    judgePrices([paid({ reason: "StripePermissionError 403", todo: "Give the permission." }), vip])[0],
  ).toMatchObject({
    status: "unknown",
    seen: expect.stringContaining("StripePermissionError 403"),
    todo: "Give the permission.",
  });
});

describe("checkPrices", () => {
  const fixture = stripeFixture();
  const check = (apiKey: string, paid: string[], url = fixture().double.url) =>
    checkPrices({ apiKey, url, timeoutMs: 2_000 }, { paid, vip: [] });

  it("names the network, and no permission, when Stripe does not answer", async () => {
    const [line] = await check(API_KEY, ["price_1"], "http://127.0.0.1:9");
    expect([line?.status, line?.todo]).toEqual(["unknown", expect.stringMatching(/^Check this machine's network/)]);
  });

  it("reads a price with its product", async () => {
    const { data } = await fixture().stripe.prices.list({ limit: 1 });
    const id = data[0]?.id ?? "";
    expect((await check(API_KEY, [id]))[0]).toMatchObject({
      status: "ok",
      seen: expect.stringMatching(`^${id} \\(.+ jpy`),
    });
  });

  it("reports a missing price, and reports unknown when Stripe refuses the key", async () => {
    expect((await check(API_KEY, ["price_gone"]))[0]).toMatchObject({ status: "failed" });
    expect((await check("rk_test_canary", ["price_gone"]))[0]).toMatchObject({
      status: "unknown",
      todo: expect.stringContaining("permission to read prices"),
    });
  });
});
