import { describe, expect, it } from "vitest";
import type { Plan } from "../../contract/plan";
import type { Customer, DisputeFacts, SubscriptionFacts } from "../../functions/core/customer";
import { currentSubscription, type Entitlement, entitlement, type Policy } from "../../functions/core/entitlement";
import { nextReview } from "../../functions/core/review";

const policy: Policy = { prices: { paid: ["price_paid", "price_paid_old"], vip: ["price_vip"] }, graceDays: 7 };
const DAY = 24 * 3600;
const at = (iso: string) => Date.parse(iso) / 1000;
const start = at("2026-11-01T00:00:00Z");
const end = at("2026-12-01T00:00:00Z");
const middle = at("2026-11-15T00:00:00Z");
const date = (seconds: number) => new Date(seconds * 1000);

const good: SubscriptionFacts = {
  id: "sub_1",
  status: "active",
  created: start,
  price_ids: ["price_paid"],
  period_start: start,
  period_end: end,
  trial_end: null,
  cancel_at: null,
  cancel_at_period_end: false,
  collection_paused: false,
  unpaid_since: null,
  unpaid_first: false,
};
const having = (...changes: Partial<SubscriptionFacts>[]): Customer => ({
  user_id: "user",
  subscriptions: changes.map((change) => ({ ...good, ...change })),
});
const knowing = (customer: Customer, plan: Plan, ...price_ids: string[]): Customer => ({
  ...customer,
  known_plans: { [good.id]: { plan, price_ids } },
});
const free = (reason: Entitlement["reason"]): Entitlement => ({ plan: "free", reason, expiresAt: null });
const paid = (reason: Entitlement["reason"], expiresAt: number, more: Partial<Entitlement> = {}): Entitlement => ({
  plan: "paid",
  reason,
  expiresAt: date(expiresAt),
  ...more,
});

type Case = [name: string, customer: Customer | undefined, now: number, expected: Entitlement];

function table(title: string, cases: Case[]): void {
  describe(title, () => {
    it.each(cases)("%s", (_name, customer, now, expected) => {
      expect(entitlement(customer, date(now), policy)).toEqual(expected);
    });
  });
}

table("entitlement without a subscription", [
  ["is free when the user has no row", undefined, middle, free("no_record")],
  ["is free when the row is empty", { user_id: "user" }, middle, free("no_plan")],
  [
    "is the granted plan when the grant has no end",
    { user_id: "user", grant_plan: "vip" },
    middle,
    { plan: "vip", reason: "grant", expiresAt: null },
  ],
  [
    "is the granted plan 1 s before the grant ends",
    { user_id: "user", grant_plan: "paid", grant_expires_at: date(end).toISOString() },
    end - 1,
    paid("grant", end),
  ],
  [
    "is free at the time when the grant ends",
    { user_id: "user", grant_plan: "paid", grant_expires_at: date(end).toISOString() },
    end,
    free("grant_expired"),
  ],
  ["is free when the granted plan is free", { user_id: "user", grant_plan: "free" }, middle, free("no_plan")],
]);

table("entitlement with an active or trialing subscription", [
  ["is paid within the period", having({}), middle, paid("subscription", end)],
  [
    "is paid for a price that is no longer sold",
    having({ price_ids: ["price_paid_old"] }),
    middle,
    paid("subscription", end),
  ],
  [
    "is vip for the vip price",
    having({ price_ids: ["price_vip"] }),
    middle,
    { ...paid("subscription", end), plan: "vip" },
  ],
  [
    "is the highest plan when the subscription has several prices",
    having({ price_ids: ["price_paid", "price_vip"] }),
    middle,
    { ...paid("subscription", end), plan: "vip" },
  ],
  ["is paid 1 s after the period without a renewal event", having({}), end + 1, paid("subscription", end)],
  ["is paid 1 s before the 24 h leeway ends", having({}), end + DAY - 1, paid("subscription", end)],
  ["is free 24 h after the period without a renewal event", having({}), end + DAY, free("outdated")],
  ["is paid during a trial", having({ status: "trialing", trial_end: end }), middle, paid("trial", end)],
  ["is free 24 h after the trial's end", having({ status: "trialing", trial_end: end }), end + DAY, free("outdated")],
  [
    "is free during a trial while collection is paused",
    having({ status: "trialing", collection_paused: true }),
    middle,
    free("paused"),
  ],
]);

table("entitlement with a scheduled cancellation", [
  ["is paid until cancel_at", having({ cancel_at: end }), middle, paid("subscription", end, { cancelAt: date(end) })],
  [
    "is paid until the period's end when cancel_at_period_end is set",
    having({ cancel_at_period_end: true }),
    middle,
    paid("subscription", end, { cancelAt: date(end) }),
  ],
  [
    "expires at cancel_at when cancel_at is before the period's end",
    having({ cancel_at: middle + DAY }),
    middle,
    paid("subscription", middle + DAY, { cancelAt: date(middle + DAY) }),
  ],
  [
    "expires at the period's end when cancel_at is later",
    having({ cancel_at: end + 30 * DAY }),
    middle,
    paid("subscription", end, { cancelAt: date(end + 30 * DAY) }),
  ],
  [
    "is paid 1 s before cancel_at",
    having({ cancel_at: end }),
    end - 1,
    paid("subscription", end, { cancelAt: date(end) }),
  ],
  ["is free at cancel_at even when Stripe still reports active", having({ cancel_at: end }), end, free("canceled")],
  [
    "is free at the period's end when cancel_at_period_end is set",
    having({ cancel_at_period_end: true }),
    end,
    free("canceled"),
  ],
]);

const renewed = { status: "past_due", period_start: end, period_end: end + 31 * DAY, unpaid_since: end };
table("entitlement with a past_due subscription", [
  [
    "is paid 1 s after the renewal failed",
    having(renewed),
    end + 1,
    paid("grace", end + 7 * DAY, { graceUntil: date(end + 7 * DAY) }),
  ],
  [
    "is paid 1 s before the grace period ends",
    having(renewed),
    end + 7 * DAY - 1,
    paid("grace", end + 7 * DAY, { graceUntil: date(end + 7 * DAY) }),
  ],
  ["is free when the grace period has ended", having(renewed), end + 7 * DAY, free("past_due")],
  [
    "is free when a second period is unpaid",
    having({ ...renewed, period_start: end + 31 * DAY }),
    end + 32 * DAY,
    free("past_due"),
  ],
  [
    "has a new grace period after an unpaid upgrade",
    having({ ...renewed, period_start: start, period_end: end, unpaid_since: middle }),
    middle + DAY,
    paid("grace", middle + 7 * DAY, { graceUntil: date(middle + 7 * DAY) }),
  ],
  [
    "has a grace period from the period's start when no invoice is open",
    having({ ...renewed, unpaid_since: null }),
    end + 1,
    paid("grace", end + 7 * DAY, { graceUntil: date(end + 7 * DAY) }),
  ],
  [
    "has no grace period when the first payment fails",
    having({ ...renewed, unpaid_first: true }),
    end + 1,
    free("past_due"),
  ],
  ["is free while collection is paused", having({ ...renewed, collection_paused: true }), end + 1, free("paused")],
  [
    "expires at cancel_at when cancel_at is within the grace period",
    having({ ...renewed, cancel_at: end + DAY }),
    end + 1,
    paid("grace", end + DAY, { graceUntil: date(end + 7 * DAY), cancelAt: date(end + DAY) }),
  ],
  [
    "is free at cancel_at within the grace period",
    having({ ...renewed, cancel_at: end + DAY }),
    end + DAY,
    free("canceled"),
  ],
]);

table("entitlement by status", [
  ["is free for the status unpaid", having({ status: "unpaid" }), middle, free("unpaid")],
  ["is free for the status incomplete", having({ status: "incomplete" }), middle, free("incomplete")],
  ["is free for the status incomplete_expired", having({ status: "incomplete_expired" }), middle, free("incomplete")],
  ["is free for the status paused", having({ status: "paused" }), middle, free("paused")],
  ["is free for the status canceled within the period", having({ status: "canceled" }), middle, free("canceled")],
  ["is free for an unknown status", having({ status: "on_holiday" }), middle, free("unknown_status")],
]);

table("entitlement with an unknown price", [
  [
    "is free when the subscription never had a known price",
    having({ price_ids: ["price_new"] }),
    middle,
    free("unknown_price"),
  ],
  [
    "keeps the plan of a price that has become unknown",
    knowing(having({ price_ids: ["price_old_vip"] }), "vip", "price_old_vip"),
    middle,
    { ...paid("unknown_price", end), plan: "vip" },
  ],
  [
    "is paid, not vip, when an unknown price has replaced a known price",
    knowing(having({ price_ids: ["price_new"] }), "vip", "price_vip"),
    middle,
    paid("unknown_price", end),
  ],
  [
    "is paid during the grace period",
    knowing(having({ ...renewed, price_ids: ["price_new"] }), "paid", "price_paid"),
    end + 1,
    paid("unknown_price", end + 7 * DAY, { graceUntil: date(end + 7 * DAY) }),
  ],
  [
    "is free for the status unpaid",
    knowing(having({ status: "unpaid", price_ids: ["price_new"] }), "paid", "price_paid"),
    middle,
    free("unpaid"),
  ],
  ["is free when the subscription has no price", having({ price_ids: [] }), middle, free("unknown_price")],
]);

const paidUntil = (until: number, price_id = "price_paid") => ({ paid: [{ price_id, invoiced: start, until }] });
table("entitlement while collection is paused", [
  [
    "is the paid plan until the end of the paid period",
    having({ collection_paused: true, ...paidUntil(end) }),
    end - 1,
    paid("subscription", end),
  ],
  [
    "is free when the paid period has ended",
    having({ collection_paused: true, ...paidUntil(end) }),
    end,
    free("paused"),
  ],
  ["is free when nothing was paid", having({ collection_paused: true, paid: [] }), middle, free("paused")],
  ["is free when the paid prices are unknown", having({ collection_paused: true }), middle, free("paused")],
  [
    "ends at cancel_at within the paid period",
    having({ collection_paused: true, ...paidUntil(end), cancel_at: middle + DAY }),
    middle,
    paid("subscription", middle + DAY, { cancelAt: date(middle + DAY) }),
  ],
]);

// After a plan change, Stripe's invoice has two lines: the unused part of the old period, and the new period.
const restOfPeriod = { price_id: "price_paid", invoiced: start, until: middle };
const newPeriod = { price_id: "price_paid", invoiced: start, until: end };
table("entitlement while collection is paused, after an invoice for two periods", [
  [
    "lasts until the end of the later period when the list ends with that period",
    having({ collection_paused: true, paid: [restOfPeriod, newPeriod] }),
    middle + 1,
    paid("subscription", end),
  ],
  [
    "lasts until the end of the later period when the list starts with that period",
    having({ collection_paused: true, paid: [newPeriod, restOfPeriod] }),
    middle + 1,
    paid("subscription", end),
  ],
]);

const unpaidUpgrade = { ...renewed, price_ids: ["price_vip"], period_start: middle, unpaid_since: middle };
table("entitlement after an upgrade to vip whose payment failed", [
  [
    "is the plan of the newest paid invoice, not vip, during the grace period",
    having({ ...unpaidUpgrade, ...paidUntil(middle + DAY) }),
    middle + 1,
    paid("grace", middle + 7 * DAY, { graceUntil: date(middle + 7 * DAY) }),
  ],
  [
    "is the plan of the newest paid invoice until its period ends when the grace period ends earlier",
    having({ ...unpaidUpgrade, ...paidUntil(end) }),
    middle + 7 * DAY,
    paid("subscription", end),
  ],
  [
    "is free when the grace period and the paid period have ended",
    having({ ...unpaidUpgrade, ...paidUntil(end) }),
    end,
    free("past_due"),
  ],
  [
    "is free when nothing was ever paid",
    having({ ...unpaidUpgrade, unpaid_first: true, paid: [] }),
    middle + 1,
    free("past_due"),
  ],
  [
    "is vip when the newest paid invoice was also for vip",
    having({ ...unpaidUpgrade, ...paidUntil(middle, "price_vip") }),
    middle + 1,
    { ...paid("grace", middle + 7 * DAY, { graceUntil: date(middle + 7 * DAY) }), plan: "vip" },
  ],
  [
    "is paid after a change to the lower plan, although the newest paid invoice was for vip",
    having({ ...unpaidUpgrade, price_ids: ["price_paid"], ...paidUntil(middle, "price_vip") }),
    middle + 1,
    paid("grace", middle + 7 * DAY, { graceUntil: date(middle + 7 * DAY) }),
  ],
  [
    "ignores a paid add-on",
    having({
      ...unpaidUpgrade,
      paid: [
        { price_id: "price_addon", invoiced: middle, until: end + 365 * DAY },
        { price_id: "price_paid", invoiced: start, until: middle },
      ],
    }),
    middle + 1,
    paid("grace", middle + 7 * DAY, { graceUntil: date(middle + 7 * DAY) }),
  ],
]);

table("entitlement with a trial_end that a paying customer got for free", [
  [
    "has a grace period after a failed renewal",
    having({ ...renewed, trial_end: end, ...paidUntil(end) }),
    end + 1,
    paid("grace", end + 7 * DAY, { graceUntil: date(end + 7 * DAY) }),
  ],
]);

table("entitlement of a subscription that is not paid by card", [
  [
    "has a grace period after a period paid by a 100 % coupon or outside of Stripe",
    having({ ...renewed, ...paidUntil(end) }),
    end + 1,
    paid("grace", end + 7 * DAY, { graceUntil: date(end + 7 * DAY) }),
  ],
  ["is paid until the due date of its first invoice", having({}), middle, paid("subscription", end)],
  [
    "is free from the due date of its first invoice",
    having({ status: "past_due", unpaid_since: middle, unpaid_first: true, paid: [] }),
    middle,
    free("past_due"),
  ],
  [
    "has a grace period from the due date of a later invoice",
    having({ ...renewed, unpaid_since: end + 10 * DAY, ...paidUntil(end) }),
    end + 16 * DAY,
    paid("grace", end + 17 * DAY, { graceUntil: date(end + 17 * DAY) }),
  ],
]);

const withAddOn = (addOnEnd: number): Customer =>
  having({
    price_ids: ["price_addon", "price_vip"],
    period_end: Math.min(end, addOnEnd),
    items: [
      { price_id: "price_addon", period_start: start, period_end: addOnEnd },
      { price_id: "price_vip", period_start: start, period_end: end },
    ],
  });
table("entitlement with an add-on price beside vip", [
  [
    "expires at the end of the vip period when the add-on's period ends earlier",
    withAddOn(middle + DAY),
    middle,
    { ...paid("subscription", end), plan: "vip" },
  ],
  [
    "is vip after the add-on's period and its leeway",
    withAddOn(start + DAY),
    middle,
    { ...paid("subscription", end), plan: "vip" },
  ],
  [
    "is free 24 h after the vip period although the add-on's period ends later",
    withAddOn(end + DAY),
    end + DAY,
    free("outdated"),
  ],
]);

const disputed = (status: string, created = middle): Customer => {
  const disputes: DisputeFacts[] = [{ id: "du_1", status, created }];
  return { ...having({}), disputes };
};
table("entitlement with a dispute", [
  ["is free while the dispute needs a response", disputed("needs_response"), middle, free("disputed")],
  ["is free while the dispute is under review", disputed("under_review"), middle, free("disputed")],
  ["is free while an appeal is under review", disputed("appeal_under_review"), middle, free("disputed")],
  ["is free for an unknown dispute status", disputed("on_holiday"), middle, free("disputed")],
  ["is free when the dispute was lost after the subscription's creation", disputed("lost"), middle, free("disputed")],
  [
    "is paid when the dispute was lost before the subscription's creation",
    disputed("lost", start - 1),
    middle,
    paid("subscription", end),
  ],
  [
    "is free when the dispute was lost in the same second as the subscription's creation",
    disputed("lost", start),
    middle,
    free("disputed"),
  ],
  [
    "is free during an open dispute that is older than the subscription",
    disputed("needs_response", start - 1),
    middle,
    free("disputed"),
  ],
  ["is paid when the dispute was won", disputed("won"), middle, paid("subscription", end)],
  ["is paid when the dispute was prevented", disputed("prevented"), middle, paid("subscription", end)],
  ["is paid during an open inquiry", disputed("warning_needs_response"), middle, paid("subscription", end)],
  ["is paid after a closed inquiry", disputed("warning_closed"), middle, paid("subscription", end)],
  [
    "is the granted plan during an open dispute",
    { ...disputed("needs_response"), grant_plan: "vip" },
    middle,
    { plan: "vip", reason: "grant", expiresAt: null },
  ],
]);

table("entitlement with several subscriptions or grants", [
  [
    "is the higher plan of two live subscriptions",
    having({}, { id: "sub_2", price_ids: ["price_vip"] }),
    middle,
    { ...paid("subscription", end), plan: "vip" },
  ],
  [
    "expires with the later of two subscriptions to the same plan",
    having({}, { period_end: end + DAY }),
    middle,
    paid("subscription", end + DAY),
  ],
  [
    "is paid when the newest subscription has ended and an older subscription is live",
    having({ status: "canceled" }, {}),
    middle,
    paid("subscription", end),
  ],
  [
    "has the reason of the live subscription when no subscription gives a plan",
    having({ status: "canceled" }, { status: "unpaid" }),
    middle,
    free("unpaid"),
  ],
  [
    "is the subscription's plan when the granted plan is lower",
    { ...having({ price_ids: ["price_vip"] }), grant_plan: "paid" },
    middle,
    { ...paid("subscription", end), plan: "vip" },
  ],
  [
    "is the subscription's plan when the grant has ended",
    { ...having({}), grant_plan: "vip", grant_expires_at: date(start).toISOString() },
    middle,
    paid("subscription", end),
  ],
  [
    "is the lower plan when the grace period of the higher plan has ended",
    having({ ...renewed, price_ids: ["price_vip"] }, { period_end: end + 31 * DAY }),
    end + 8 * DAY,
    paid("subscription", end + 31 * DAY),
  ],
]);

table("entitlement after a refund", [
  ["is paid while the subscription is live", having({}), middle, paid("subscription", end)],
  ["is free when the subscription is canceled", having({ status: "canceled" }), middle, free("canceled")],
]);

table("entitlement of a customer on a Stripe test clock", [
  [
    "uses the test clock's time when the clock is ahead",
    { ...having({ cancel_at: end }), clock_ahead_seconds: 30 * DAY },
    middle,
    free("canceled"),
  ],
  [
    "uses the test clock's time when the clock is behind",
    { ...having({ cancel_at: end }), clock_ahead_seconds: -30 * DAY },
    end,
    paid("subscription", end, { cancelAt: date(end) }),
  ],
]);

describe("graceDays", () => {
  it("sets the length of the grace period and may be 0", () => {
    const none = { ...policy, graceDays: 0 };
    expect(entitlement(having(renewed), date(end + 1), none)).toEqual(free("past_due"));
    expect(entitlement(having(renewed), date(end + 2 * DAY), { ...policy, graceDays: 3 })).toMatchObject({
      reason: "grace",
    });
  });
});

describe("currentSubscription", () => {
  it("prefers a paid subscription to a newer incomplete subscription", () => {
    const paid = having({ status: "incomplete" }, { id: "sub_2" });
    expect(currentSubscription(paid, date(middle), policy)?.id).toBe("sub_2");
    expect(
      currentSubscription(having({ status: "unpaid" }, { id: "sub_2", status: "past_due" }), date(middle), policy)?.id,
    ).toBe("sub_2");
  });

  it("returns the subscription that gives the plan when two are live", () => {
    const two = having({ status: "past_due", unpaid_first: true }, { id: "sub_2", status: "trialing" });
    expect(currentSubscription(two, date(middle), policy)?.id).toBe("sub_2");
    const vip = having({}, { id: "sub_2", price_ids: ["price_vip"], status: "trialing" });
    expect(currentSubscription(vip, date(middle), policy)?.id).toBe("sub_2");
  });

  it("returns the newest live subscription, or the most recently ended subscription when no subscription is live", () => {
    expect(currentSubscription(having({}, { id: "sub_2" }), date(middle), policy)?.id).toBe("sub_1");
    expect(currentSubscription(having({ status: "canceled" }, { id: "sub_2" }), date(middle), policy)?.id).toBe(
      "sub_2",
    );
    expect(currentSubscription(having({ status: "canceled" }), date(middle), policy)?.id).toBe("sub_1");
    expect(currentSubscription({ user_id: "user" }, date(middle), policy)).toBeUndefined();
  });
});

describe("nextReview", () => {
  const review = (customer: Customer, now: number) => nextReview(customer, date(now), policy)?.toISOString() ?? null;
  const iso = (seconds: number) => date(seconds).toISOString();

  it.each([
    ["is 24 h later while a subscription is live", having({}), middle, iso(middle + DAY)],
    ["is 1 min after the period's end", having({}), end - 3600, iso(end + 60)],
    ["is 1 h later while the renewal is overdue", having({}), end + 600, iso(end + 600 + 3600)],
    ["is 1 min after cancel_at", having({ cancel_at: middle + 600 }), middle, iso(middle + 660)],
    ["is 1 min after the grace period", having(renewed), end + 7 * DAY - 600, iso(end + 7 * DAY + 60)],
    ["is 24 h later when the trial has ended", having({ trial_end: start }), middle, iso(middle + DAY)],
    ["is 24 h later when only payment retries remain", having(renewed), end + 10 * DAY, iso(end + 11 * DAY)],
    [
      "is 24 h later for a paused subscription whose period has ended",
      having({ status: "paused" }),
      end + 10 * DAY,
      iso(end + 11 * DAY),
    ],
    [
      "is review_by when no other review is due earlier",
      { ...having({}), review_by: iso(middle + 600) },
      middle,
      iso(middle + 600),
    ],
    [
      "is null when review_by has passed and there is no subscription",
      { user_id: "user", review_by: iso(middle - 1) },
      middle,
      null,
    ],
    [
      "is the end of the grant",
      { user_id: "user", grant_plan: "vip" as const, grant_expires_at: iso(end) },
      middle,
      iso(end),
    ],
    ["is null when the subscription is canceled", having({ status: "canceled" }), middle, null],
    ["is null for an empty row", { user_id: "user" }, middle, null],
    [
      "is in real time when the deadline is on a test clock",
      { ...having({ cancel_at: end }), clock_ahead_seconds: end - 600 - middle },
      middle,
      iso(middle + 660),
    ],
  ])("%s", (_name, customer, now, expected) => {
    expect(review(customer as Customer, now)).toBe(expected);
  });

  it("is 1 h later while Stripe does not know the customer", () => {
    expect(nextReview(having({ status: "canceled" }), date(middle), policy, false)).toEqual(date(middle + 3600));
  });
});
