import Stripe from "stripe";
import { describe, expect, it } from "vitest";
import { isSigned, matters, parseEvent } from "../../functions/stripe/event";
import { webhookEvents } from "../../stripe/events";

const secret = "whsec_of_the_test";
const now = new Date("2026-11-23T00:00:00Z");
const seconds = now.getTime() / 1000;
const body = JSON.stringify({ id: "evt_1", object: "event" });

function sign(options: { payload?: string; secret?: string; timestamp?: number } = {}): string {
  return Stripe.webhooks.generateTestHeaderString({ payload: body, secret, timestamp: seconds, ...options });
}

describe("isSigned", () => {
  it.each([
    ["accepts a signature with the current time", sign(), true],
    ["accepts a signature that is 5 min old", sign({ timestamp: seconds - 300 }), true],
    ["rejects a signature that is 5 min and 1 s old", sign({ timestamp: seconds - 301 }), false],
    ["accepts a signature from 1 min in the future", sign({ timestamp: seconds + 60 }), true],
    ["rejects a signature from 1 min and 1 s in the future", sign({ timestamp: seconds + 61 }), false],
    ["rejects a signature from 1 day in the future", sign({ timestamp: seconds + 86_400 }), false],
    ["rejects a signature made with another secret", sign({ secret: "whsec_of_another" }), false],
    ["rejects a signature of another body", sign({ payload: `${body} ` }), false],
    [
      "accepts a header in which only the second v1 value is valid",
      sign().replace(",v1=", `,v1=${"0".repeat(64)},v1=`),
      true,
    ],
    ["rejects a header without a timestamp", sign().replace(/t=\d+,/, ""), false],
    ["rejects a header with a second timestamp in the future", `${sign()},t=${seconds + 86_400}`, false],
    ["rejects the v0 scheme", sign().replace("v1=", "v0="), false],
    ["rejects an empty header", "", false],
    ["rejects a malformed header", "nonsense", false],
  ])("%s", (_name, header, expected) => {
    expect(isSigned(body, header, [secret], now)).toBe(expected);
  });

  it("accepts a signature made with any configured secret, and rejects all events when no secret is configured", () => {
    expect(isSigned(body, sign(), ["whsec_new", secret], now)).toBe(true);
    expect(isSigned(body, sign(), [], now)).toBe(false);
    expect(isSigned(body, sign({ secret: "" }), [""], now)).toBe(false);
  });
});

describe("parseEvent of a snapshot event", () => {
  const event = (object: Record<string, unknown>, more: object = {}) => ({
    object: "event",
    id: "evt_1",
    type: "customer.subscription.updated",
    livemode: false,
    created: seconds,
    data: { object },
    ...more,
  });

  it("returns only the fields that identify the event and its subject", () => {
    const metadata = { user_id: "user", owner: "snack-misaki/dev", plan: "vip" };
    expect(
      parseEvent(event({ object: "subscription", id: "sub_1", customer: "cus_1", status: "active", metadata })),
    ).toEqual({
      id: "evt_1",
      type: "customer.subscription.updated",
      livemode: false,
      created: seconds,
      subject: { object: "subscription", id: "sub_1", customer: "cus_1", userId: "user", owner: "snack-misaki/dev" },
    });
  });

  it("accepts an expanded customer and a missing customer", () => {
    expect(parseEvent(event({ object: "charge", id: "ch_1", customer: { id: "cus_1" } }))?.subject).toEqual({
      object: "charge",
      id: "ch_1",
      customer: "cus_1",
    });
    expect(parseEvent(event({ object: "dispute", id: "du_1", charge: "ch_1" }))?.subject).toEqual({
      object: "dispute",
      id: "du_1",
      charge: "ch_1",
    });
    expect(parseEvent(event({ object: "charge", id: "ch_1", customer: null }))?.subject).toEqual({
      object: "charge",
      id: "ch_1",
    });
  });

  it("accepts a subject without an id", () => {
    expect(parseEvent(event({ object: "balance" }))?.subject).toEqual({ object: "balance" });
  });

  it.each([
    ["a missing object", null],
    ["an array as object", []],
    ["another object type", { object: "subscription", id: "sub_1" }],
    ["a missing livemode", event({ object: "charge", id: "ch_1" }, { livemode: undefined })],
    ["a livemode that is not a boolean", event({ object: "charge", id: "ch_1" }, { livemode: "false" })],
    ["a missing subject", event({})],
    ["a numeric subject id", event({ object: "charge", id: 1 })],
  ])("returns undefined for %s", (_name, given) => {
    expect(parseEvent(given)).toBeUndefined();
  });
});

describe("parseEvent of a thin event", () => {
  it("returns the same type and subject as for a snapshot event", () => {
    const thin = {
      object: "v2.core.event",
      id: "evt_test_1",
      type: "v1.customer.subscription.updated",
      livemode: false,
      created: "2026-11-23T00:00:00.000Z",
      related_object: { id: "sub_1", type: "subscription", url: "/v1/subscriptions/sub_1" },
    };
    expect(parseEvent(thin)).toEqual({
      id: "evt_test_1",
      type: "customer.subscription.updated",
      livemode: false,
      created: seconds,
      subject: { object: "subscription", id: "sub_1" },
    });
    expect(parseEvent({ ...thin, related_object: null })?.subject).toEqual({ object: "none" });
  });
});

describe("matters", () => {
  it("is true for every registered event type and false for other types", () => {
    const of = (type: string) =>
      matters({ id: "", type, livemode: false, created: 0, subject: { object: "", id: "" } });
    for (const type of webhookEvents) expect(of(type)).toBe(true);
    expect(of("invoice.created")).toBe(false);
    expect(of("customer.subscription.updated.evil")).toBe(false);
    // The reconciler lists the events of all these types in one request, and Stripe's API accepts at most twenty types.
    expect(webhookEvents.length).toBeLessThanOrEqual(20);
  });
});
