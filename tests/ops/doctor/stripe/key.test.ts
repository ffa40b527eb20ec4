import { expect, it } from "vitest";
import { checkStripeKey, judgeKey } from "../../../../ops/doctor/stripe/key";
import { API_KEY, stripeFixture } from "../../../local/stripe/fixture";

const fixture = stripeFixture();
const check = (apiKey: string, url = fixture().double.url) => checkStripeKey({ apiKey, url, timeoutMs: 2_000 }, "dev");

it("checkStripeKey accepts a key of test mode for a dev stack", async () => {
  expect(await check(API_KEY)).toMatchObject({ name: "Stripe key", status: "ok", seen: "works, in test mode" });
});

it("checkStripeKey reports a key that Stripe refuses, without showing the key", async () => {
  const found = await check("rk_test_canary");
  expect(found).toMatchObject({ status: "failed", seen: expect.stringContaining("Stripe refuses it") });
  expect(JSON.stringify(found)).not.toContain("canary");
});

it("checkStripeKey reports unknown when Stripe does not answer", async () => {
  expect(await check(API_KEY, "http://127.0.0.1:9")).toMatchObject({
    status: "unknown",
    todo: expect.stringContaining("this machine's network"),
  });
});

it.each([
  ["accepts", "rk_live_1", "prod", "ok", /live mode/],
  ["warns about", "sk_live_1", "dev", "warning", /purchases cost real money/],
  ["warns about", "rk_test_1", "prod-tokyo", "warning", /nobody really pays/],
] as const)("judgeKey %s the key %s of the stack %s", (_what, key, stack, status, seen) => {
  expect(judgeKey(key, "accepted", stack)).toMatchObject({ status, seen: expect.stringMatching(seen) });
});
