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

describe("a signature", () => {
  it.each([
    ["of now", sign(), true],
    ["of five minutes ago", sign({ timestamp: seconds - 300 }), true],
    ["of a second more", sign({ timestamp: seconds - 301 }), false],
    ["of a minute ahead, as a slow clock sees it", sign({ timestamp: seconds + 60 }), true],
    ["of a second more ahead", sign({ timestamp: seconds + 61 }), false],
    ["of a day ahead", sign({ timestamp: seconds + 86_400 }), false],
    ["by another secret", sign({ secret: "whsec_of_another" }), false],
    ["of another body", sign({ payload: `${body} ` }), false],
    ["with the second of two values", sign().replace(",v1=", `,v1=${"0".repeat(64)},v1=`), true],
    ["without a time", sign().replace(/t=\d+,/, ""), false],
    ["with a second time ahead", `${sign()},t=${seconds + 86_400}`, false],
    ["of the old scheme", sign().replace("v1=", "v0="), false],
    ["that is empty", "", false],
    ["that is none", "nonsense", false],
  ])("%s", (_name, header, expected) => {
    expect(isSigned(body, header, [secret], now)).toBe(expected);
  });

  it("may be by any of the secrets, and by none of none", () => {
    expect(isSigned(body, sign(), ["whsec_new", secret], now)).toBe(true);
    expect(isSigned(body, sign(), [], now)).toBe(false);
    expect(isSigned(body, sign({ secret: "" }), [""], now)).toBe(false);
  });
});

describe("a snapshot event", () => {
  const event = (object: Record<string, unknown>, more: object = {}) => ({
    object: "event",
    id: "evt_1",
    type: "customer.subscription.updated",
    livemode: false,
    created: seconds,
    data: { object },
    ...more,
  });

  it("gives whom it is about, and nothing of what it says of them", () => {
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

  it("may have the customer expanded, or none", () => {
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

  it("may be about what has no id", () => {
    expect(parseEvent(event({ object: "balance" }))?.subject).toEqual({ object: "balance" });
  });

  it.each([
    ["no object", null],
    ["an array", []],
    ["another object", { object: "subscription", id: "sub_1" }],
    ["no livemode", event({ object: "charge", id: "ch_1" }, { livemode: undefined })],
    ["a livemode that is no boolean", event({ object: "charge", id: "ch_1" }, { livemode: "false" })],
    ["no subject", event({})],
    ["a subject whose id is no text", event({ object: "charge", id: 1 })],
  ])("is none with %s", (_name, given) => {
    expect(parseEvent(given)).toBeUndefined();
  });
});

describe("a thin event", () => {
  it("is read like the other, its type and subject in the same words", () => {
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

describe("what matters", () => {
  it("is what the endpoint is registered for, and nothing that holds up a renewal", () => {
    const of = (type: string) =>
      matters({ id: "", type, livemode: false, created: 0, subject: { object: "", id: "" } });
    for (const type of webhookEvents) expect(of(type)).toBe(true);
    expect(of("invoice.created")).toBe(false);
    expect(of("customer.subscription.updated.evil")).toBe(false);
    // The reconciler asks Stripe for all of them at once; the API takes no more than twenty.
    expect(webhookEvents.length).toBeLessThanOrEqual(20);
  });
});
