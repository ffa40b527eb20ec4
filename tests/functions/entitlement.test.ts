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

table("without a subscription", [
  ["no row", undefined, middle, free("no_record")],
  ["an empty row", { user_id: "user" }, middle, free("no_plan")],
  [
    "a grant without an end",
    { user_id: "user", grant_plan: "vip" },
    middle,
    { plan: "vip", reason: "grant", expiresAt: null },
  ],
  [
    "a grant a second before its end",
    { user_id: "user", grant_plan: "paid", grant_expires_at: date(end).toISOString() },
    end - 1,
    paid("grant", end),
  ],
  [
    "a grant at its very end",
    { user_id: "user", grant_plan: "paid", grant_expires_at: date(end).toISOString() },
    end,
    free("grant_expired"),
  ],
  ["a grant of nothing", { user_id: "user", grant_plan: "free" }, middle, free("no_plan")],
]);

table("active", [
  ["within its period", having({}), middle, paid("subscription", end)],
  ["a price no longer sold", having({ price_ids: ["price_paid_old"] }), middle, paid("subscription", end)],
  ["of the higher price", having({ price_ids: ["price_vip"] }), middle, { ...paid("subscription", end), plan: "vip" }],
  [
    "with several prices, the highest",
    having({ price_ids: ["price_paid", "price_vip"] }),
    middle,
    { ...paid("subscription", end), plan: "vip" },
  ],
  ["a second after the period, no news yet", having({}), end + 1, paid("subscription", end)],
  ["a second before a day without news", having({}), end + DAY - 1, paid("subscription", end)],
  ["a day without news", having({}), end + DAY, free("outdated")],
  ["collection paused", having({ collection_paused: true }), middle, free("paused")],
  ["trialing", having({ status: "trialing", trial_end: end }), middle, paid("trial", end)],
  ["trialing, a day over", having({ status: "trialing", trial_end: end }), end + DAY, free("outdated")],
  ["trialing with collection paused", having({ status: "trialing", collection_paused: true }), middle, free("paused")],
]);

table("a scheduled cancel", [
  ["as the portal sets it", having({ cancel_at: end }), middle, paid("subscription", end, { cancelAt: date(end) })],
  [
    "in the older form",
    having({ cancel_at_period_end: true }),
    middle,
    paid("subscription", end, { cancelAt: date(end) }),
  ],
  [
    "before the period's end",
    having({ cancel_at: middle + DAY }),
    middle,
    paid("subscription", middle + DAY, { cancelAt: date(middle + DAY) }),
  ],
  [
    "after the period's end",
    having({ cancel_at: end + 30 * DAY }),
    middle,
    paid("subscription", end, { cancelAt: date(end + 30 * DAY) }),
  ],
  ["a second before it", having({ cancel_at: end }), end - 1, paid("subscription", end, { cancelAt: date(end) })],
  ["at its moment, whatever Stripe has done by then", having({ cancel_at: end }), end, free("canceled")],
  ["in the older form, at its moment", having({ cancel_at_period_end: true }), end, free("canceled")],
]);

const renewed = { status: "past_due", period_start: end, period_end: end + 31 * DAY, unpaid_since: end };
table("past due", [
  [
    "a second after the renewal failed",
    having(renewed),
    end + 1,
    paid("grace", end + 7 * DAY, { graceUntil: date(end + 7 * DAY) }),
  ],
  [
    "a second before the grace period ends",
    having(renewed),
    end + 7 * DAY - 1,
    paid("grace", end + 7 * DAY, { graceUntil: date(end + 7 * DAY) }),
  ],
  ["when the grace period ends, in the middle of the unpaid period", having(renewed), end + 7 * DAY, free("past_due")],
  [
    "the second unpaid period of a row",
    having({ ...renewed, period_start: end + 31 * DAY }),
    end + 32 * DAY,
    free("past_due"),
  ],
  [
    "an unpaid upgrade late in a period has its own grace",
    having({ ...renewed, period_start: start, period_end: end, unpaid_since: middle }),
    middle + DAY,
    paid("grace", middle + 7 * DAY, { graceUntil: date(middle + 7 * DAY) }),
  ],
  [
    "counted from the period when no invoice is open",
    having({ ...renewed, unpaid_since: null }),
    end + 1,
    paid("grace", end + 7 * DAY, { graceUntil: date(end + 7 * DAY) }),
  ],
  [
    "the first payment, or the first after a trial",
    having({ ...renewed, unpaid_first: true }),
    end + 1,
    free("past_due"),
  ],
  ["with collection paused", having({ ...renewed, collection_paused: true }), end + 1, free("paused")],
  [
    "with a cancel within the grace period",
    having({ ...renewed, cancel_at: end + DAY }),
    end + 1,
    paid("grace", end + DAY, { graceUntil: date(end + 7 * DAY), cancelAt: date(end + DAY) }),
  ],
  ["with a cancel that has come", having({ ...renewed, cancel_at: end + DAY }), end + DAY, free("canceled")],
]);

table("statuses that give nothing", [
  ["unpaid", having({ status: "unpaid" }), middle, free("unpaid")],
  ["incomplete", having({ status: "incomplete" }), middle, free("incomplete")],
  ["incomplete_expired", having({ status: "incomplete_expired" }), middle, free("incomplete")],
  ["paused", having({ status: "paused" }), middle, free("paused")],
  ["canceled within its period", having({ status: "canceled" }), middle, free("canceled")],
  ["one that Stripe has added since", having({ status: "on_holiday" }), middle, free("unknown_status")],
]);

table("an unknown price", [
  ["that was never known grants nothing", having({ price_ids: ["price_new"] }), middle, free("unknown_price")],
  [
    "that was known keeps what it was",
    knowing(having({ price_ids: ["price_old_vip"] }), "vip", "price_old_vip"),
    middle,
    { ...paid("unknown_price", end), plan: "vip" },
  ],
  [
    "in place of a known one keeps a plan, and makes no VIP",
    knowing(having({ price_ids: ["price_new"] }), "vip", "price_vip"),
    middle,
    paid("unknown_price", end),
  ],
  [
    "in its grace period",
    knowing(having({ ...renewed, price_ids: ["price_new"] }), "paid", "price_paid"),
    end + 1,
    paid("unknown_price", end + 7 * DAY, { graceUntil: date(end + 7 * DAY) }),
  ],
  [
    "on a status that gives nothing",
    knowing(having({ status: "unpaid", price_ids: ["price_new"] }), "paid", "price_paid"),
    middle,
    free("unpaid"),
  ],
  ["of no price at all", having({ price_ids: [] }), middle, free("unknown_price")],
]);

const disputed = (status: string, created = middle): Customer => {
  const disputes: DisputeFacts[] = [{ id: "du_1", status, created }];
  return { ...having({}), disputes };
};
table("a dispute", [
  ["that needs a response", disputed("needs_response"), middle, free("disputed")],
  ["under review", disputed("under_review"), middle, free("disputed")],
  ["on appeal", disputed("appeal_under_review"), middle, free("disputed")],
  ["with a status of tomorrow", disputed("on_holiday"), middle, free("disputed")],
  ["lost, about what was bought before", disputed("lost"), middle, free("disputed")],
  ["lost, before the subscription began", disputed("lost", start - 1), middle, paid("subscription", end)],
  ["open, before the subscription began", disputed("needs_response", start - 1), middle, free("disputed")],
  ["won", disputed("won"), middle, paid("subscription", end)],
  ["prevented", disputed("prevented"), middle, paid("subscription", end)],
  ["that is only an inquiry", disputed("warning_needs_response"), middle, paid("subscription", end)],
  ["that was only an inquiry", disputed("warning_closed"), middle, paid("subscription", end)],
  [
    "does not touch what an operator has given",
    { ...disputed("needs_response"), grant_plan: "vip" },
    middle,
    { plan: "vip", reason: "grant", expiresAt: null },
  ],
]);

table("several at once", [
  [
    "two that live: the higher plan",
    having({}, { id: "sub_2", price_ids: ["price_vip"] }),
    middle,
    { ...paid("subscription", end), plan: "vip" },
  ],
  [
    "two of one plan: the one that lasts longer",
    having({}, { period_end: end + DAY }),
    middle,
    paid("subscription", end + DAY),
  ],
  ["the newest is over, the older one lives", having({ status: "canceled" }, {}), middle, paid("subscription", end)],
  [
    "none gives anything: the one that lives says why",
    having({ status: "canceled" }, { status: "unpaid" }),
    middle,
    free("unpaid"),
  ],
  [
    "a grant below the subscription",
    { ...having({ price_ids: ["price_vip"] }), grant_plan: "paid" },
    middle,
    { ...paid("subscription", end), plan: "vip" },
  ],
  [
    "a grant that has ended, and a subscription",
    { ...having({}), grant_plan: "vip", grant_expires_at: date(start).toISOString() },
    middle,
    paid("subscription", end),
  ],
  [
    "the grace of the higher plan over: the other one",
    having({ ...renewed, price_ids: ["price_vip"] }, { period_end: end + 31 * DAY }),
    end + 8 * DAY,
    paid("subscription", end + 31 * DAY),
  ],
]);

table("a refund changes nothing by itself", [
  ["the subscription runs on", having({}), middle, paid("subscription", end)],
  ["cancelled with it: over at once", having({ status: "canceled" }), middle, free("canceled")],
]);

table("a customer on one of Stripe's test clocks", [
  [
    "lives in that clock's time",
    { ...having({ cancel_at: end }), clock_ahead_seconds: 30 * DAY },
    middle,
    free("canceled"),
  ],
  [
    "also when it is behind",
    { ...having({ cancel_at: end }), clock_ahead_seconds: -30 * DAY },
    end,
    paid("subscription", end, { cancelAt: date(end) }),
  ],
]);

describe("days of grace", () => {
  it("are the operator's to say, and may be none", () => {
    const none = { ...policy, graceDays: 0 };
    expect(entitlement(having(renewed), date(end + 1), none)).toEqual(free("past_due"));
    expect(entitlement(having(renewed), date(end + 2 * DAY), { ...policy, graceDays: 3 })).toMatchObject({
      reason: "grace",
    });
  });
});

describe("the subscription to speak of", () => {
  it("is the one that may give a plan, though a newer one waits for its first payment", () => {
    const paid = having({ status: "incomplete" }, { id: "sub_2" });
    expect(currentSubscription(paid)?.id).toBe("sub_2");
    expect(currentSubscription(having({ status: "unpaid" }, { id: "sub_2", status: "past_due" }))?.id).toBe("sub_2");
  });

  it("is the newest that lives, or the last that ended", () => {
    expect(currentSubscription(having({}, { id: "sub_2" }))?.id).toBe("sub_1");
    expect(currentSubscription(having({ status: "canceled" }, { id: "sub_2" }))?.id).toBe("sub_2");
    expect(currentSubscription(having({ status: "canceled" }))?.id).toBe("sub_1");
    expect(currentSubscription({ user_id: "user" })).toBeUndefined();
  });
});

describe("the next review", () => {
  const review = (customer: Customer, now: number) => nextReview(customer, date(now), policy)?.toISOString() ?? null;
  const iso = (seconds: number) => date(seconds).toISOString();

  it.each([
    ["a day later while a subscription lives", having({}), middle, iso(middle + DAY)],
    ["a minute after the period's end", having({}), end - 3600, iso(end + 60)],
    ["in an hour while the renewal is due", having({}), end + 600, iso(end + 600 + 3600)],
    ["a minute after a cancel", having({ cancel_at: middle + 600 }), middle, iso(middle + 660)],
    ["a minute after the grace period", having(renewed), end + 7 * DAY - 600, iso(end + 7 * DAY + 60)],
    ["a day later though the trial is long over", having({ trial_end: start }), middle, iso(middle + DAY)],
    ["a day later when nothing is left but dunning", having(renewed), end + 10 * DAY, iso(end + 11 * DAY)],
    [
      "a day later while it is paused in an old period",
      having({ status: "paused" }),
      end + 10 * DAY,
      iso(end + 11 * DAY),
    ],
    [
      "when something under way must be over",
      { ...having({}), review_by: iso(middle + 600) },
      middle,
      iso(middle + 600),
    ],
    ["not for what was over before", { user_id: "user", review_by: iso(middle - 1) }, middle, null],
    ["at a grant's end", { user_id: "user", grant_plan: "vip" as const, grant_expires_at: iso(end) }, middle, iso(end)],
    ["never, where nothing can change by itself", having({ status: "canceled" }), middle, null],
    ["never, for an empty row", { user_id: "user" }, middle, null],
    [
      "by our clock, for a deadline in the time of another",
      { ...having({ cancel_at: end }), clock_ahead_seconds: end - 600 - middle },
      middle,
      iso(middle + 660),
    ],
  ])("%s", (_name, customer, now, expected) => {
    expect(review(customer as Customer, now)).toBe(expected);
  });
});
