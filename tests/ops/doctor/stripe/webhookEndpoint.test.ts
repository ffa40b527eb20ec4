import { describe, expect, it } from "vitest";
import {
  checkWebhookEndpoint,
  type EndpointFacts,
  judgeWebhookEndpoint,
} from "../../../../ops/doctor/stripe/webhookEndpoint";
import { webhookEvents } from "../../../../stripe/events";
import { API_KEY, stripeFixture } from "../../../local/stripe/fixture";

const url = "https://api.example/webhook/stripe";
const endpoint: EndpointFacts = { id: "we_1", url, status: "enabled", events: [...webhookEvents] };

it.each([
  ["with every event", [endpoint]],
  ["with all events of Stripe", [{ ...endpoint, events: ["*"] }]],
  ["beside the disabled endpoint of a rotation", [{ ...endpoint, id: "we_0", status: "disabled" }, endpoint]],
] as const)("judgeWebhookEndpoint accepts an enabled endpoint %s", (_what, endpoints) => {
  const facts = endpoints.map((one) => ({ ...one, events: [...one.events] }));
  expect(judgeWebhookEndpoint(facts, url, "prod")).toMatchObject({
    status: "ok",
    seen: expect.stringMatching(/^we_1 is enabled/),
  });
});

it.each([
  [
    "for another URL",
    { url: "https://old.example/webhook/stripe" },
    /^Stripe sends no events to https:\/\/api\.example/,
  ],
  ["that Stripe has disabled", { status: "disabled" }, /^we_1 is disabled/],
  [
    "without an event that changes plans",
    { events: webhookEvents.slice(1) },
    /^we_1 does not get charge\.dispute\.closed$/,
  ],
] as const)("judgeWebhookEndpoint reports an endpoint %s", (_what, change, seen) => {
  const check = judgeWebhookEndpoint([{ ...endpoint, ...change } as EndpointFacts], url, "prod");
  expect(check).toMatchObject({
    status: "failed",
    seen: expect.stringMatching(seen),
    todo: expect.stringMatching(/\w/),
  });
});

describe("checkWebhookEndpoint", () => {
  const fixture = stripeFixture();
  const check = (apiKey = API_KEY, stripeUrl = fixture().double.url) =>
    checkWebhookEndpoint({ apiKey, url: stripeUrl, timeoutMs: 2_000 }, "https://api.example", "prod");

  it("finds the stack's endpoint by its URL, and notices that Stripe has disabled it", async () => {
    const { webhookEndpoints } = fixture().stripe;
    const { id } = await webhookEndpoints.create({ url, enabled_events: [...webhookEvents] });
    expect(await check()).toMatchObject({ name: "webhook endpoint", status: "ok" });
    await webhookEndpoints.update(id, { disabled: true });
    expect(await check()).toMatchObject({
      status: "failed",
      seen: expect.stringContaining(`${id} is disabled`),
      todo: expect.stringContaining("npm run admin -- --stack prod events"),
    });
  });

  it("names the network, and no permission, when Stripe does not answer", async () => {
    const { status, todo } = await check(API_KEY, "http://127.0.0.1:9");
    expect([status, todo]).toEqual(["unknown", expect.stringMatching(/^Check this machine's network/)]);
  });

  it("reports unknown when the key may not read endpoints", async () => {
    expect(await check("rk_test_canary")).toMatchObject({
      status: "unknown",
      todo: expect.stringContaining("permission to read webhook endpoints"),
    });
  });
});
