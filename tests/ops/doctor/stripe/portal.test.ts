import { expect, it } from "vitest";
import { DEFAULT_CONFIGURATION } from "../../../../local/stripe/routes/portalSessions";
import { checkPortal } from "../../../../ops/doctor/stripe/portal";
import { API_KEY, stripeFixture } from "../../../local/stripe/fixture";

const fixture = stripeFixture();
const check = (apiKey = API_KEY, configuration?: string, url = fixture().double.url) =>
  checkPortal({ apiKey, url, timeoutMs: 2_000 }, configuration);

it("doctor finds no problem when customers can change their plan in the portal", async () => {
  expect(await check()).toMatchObject({ name: "customer portal", status: "ok" });
});

it("doctor reports a portal that was never configured", async () => {
  fixture().double.switches.portal = "missing";
  expect(await check()).toMatchObject({
    status: "failed",
    seen: expect.stringContaining("never configured"),
    todo: expect.stringContaining("Customer portal"),
  });
});

it("doctor warns when the portal does not let customers change their plan", async () => {
  fixture().double.switches.portal = "fixedPlan";
  expect(await check()).toMatchObject({ status: "warning", todo: expect.stringContaining("switch plans") });
});

it("doctor reports unknown, without the key, when Stripe does not show the portal's settings", async () => {
  const shown = await check("rk_test_canary");
  expect(shown).toMatchObject({ status: "unknown", seen: expect.stringContaining("401") });
  expect(JSON.stringify(shown)).not.toContain("canary");
});

it("doctor names the network, and no permission, when Stripe does not answer", async () => {
  const { status, todo } = await check(API_KEY, undefined, "http://127.0.0.1:9");
  expect([status, todo]).toEqual(["unknown", expect.stringMatching(/^Check this machine's network, stripeApiUrl/)]);
});

it("doctor examines the configuration of billing.portalConfiguration instead of the default", async () => {
  expect(await check(API_KEY, DEFAULT_CONFIGURATION)).toMatchObject({
    status: "ok",
    seen: expect.stringContaining(DEFAULT_CONFIGURATION),
  });
  fixture().double.switches.portal = "fixedPlan";
  expect(await check(API_KEY, DEFAULT_CONFIGURATION)).toMatchObject({ status: "warning" });
});

it("doctor reports that Stripe does not know billing.portalConfiguration", async () => {
  expect(await check(API_KEY, "bpc_unknown")).toMatchObject({
    status: "failed",
    seen: expect.stringContaining("billing.portalConfiguration: Stripe does not know bpc_unknown"),
  });
});
