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
  ["empty row", { user_id: "user" }, middle, free("no_plan")],
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
  ["grant of the free plan", { user_id: "user", grant_plan: "free" }, middle, free("no_plan")],
]);

table("active", [
  ["within its period", having({}), middle, paid("subscription", end)],
  ["price no longer sold", having({ price_ids: ["price_paid_old"] }), middle, paid("subscription", end)],
  ["higher price", having({ price_ids: ["price_vip"] }), middle, { ...paid("subscription", end), plan: "vip" }],
  [
    "with several prices, the highest",
    having({ price_ids: ["price_paid", "price_vip"] }),
    middle,
    { ...paid("subscription", end), plan: "vip" },
  ],
  ["1 s after the period without a renewal event", having({}), end + 1, paid("subscription", end)],
  ["1 s before the 24 h leeway ends", having({}), end + DAY - 1, paid("subscription", end)],
  ["24 h after the period without a renewal event", having({}), end + DAY, free("outdated")],
  ["collection paused", having({ collection_paused: true }), middle, free("paused")],
  ["trialing", having({ status: "trialing", trial_end: end }), middle, paid("trial", end)],
  ["trialing, 24 h after the trial's end", having({ status: "trialing", trial_end: end }), end + DAY, free("outdated")],
  ["trialing with collection paused", having({ status: "trialing", collection_paused: true }), middle, free("paused")],
]);

table("a scheduled cancel", [
  [
    "cancel_at set by the portal",
    having({ cancel_at: end }),
    middle,
    paid("subscription", end, { cancelAt: date(end) }),
  ],
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
  ["1 s before cancel_at", having({ cancel_at: end }), end - 1, paid("subscription", end, { cancelAt: date(end) })],
  ["at cancel_at, even if Stripe has not acted", having({ cancel_at: end }), end, free("canceled")],
  ["at the period's end with cancel_at_period_end", having({ cancel_at_period_end: true }), end, free("canceled")],
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
  ["after the grace period, within the unpaid period", having(renewed), end + 7 * DAY, free("past_due")],
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
  ["collection paused", having({ ...renewed, collection_paused: true }), end + 1, free("paused")],
  [
    "with a cancel within the grace period",
    having({ ...renewed, cancel_at: end + DAY }),
    end + 1,
    paid("grace", end + DAY, { graceUntil: date(end + 7 * DAY), cancelAt: date(end + DAY) }),
  ],
  ["after cancel_at", having({ ...renewed, cancel_at: end + DAY }), end + DAY, free("canceled")],
]);

table("statuses that give nothing", [
  ["unpaid", having({ status: "unpaid" }), middle, free("unpaid")],
  ["incomplete", having({ status: "incomplete" }), middle, free("incomplete")],
  ["incomplete_expired", having({ status: "incomplete_expired" }), middle, free("incomplete")],
  ["paused", having({ status: "paused" }), middle, free("paused")],
  ["canceled within the period", having({ status: "canceled" }), middle, free("canceled")],
  ["unknown status", having({ status: "on_holiday" }), middle, free("unknown_status")],
]);

table("an unknown price", [
  ["price that was never known", having({ price_ids: ["price_new"] }), middle, free("unknown_price")],
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
  ["no price", having({ price_ids: [] }), middle, free("unknown_price")],
]);

const disputed = (status: string, created = middle): Customer => {
  const disputes: DisputeFacts[] = [{ id: "du_1", status, created }];
  return { ...having({}), disputes };
};
table("a dispute", [
  ["needs_response", disputed("needs_response"), middle, free("disputed")],
  ["under_review", disputed("under_review"), middle, free("disputed")],
  ["appealed", disputed("appeal_under_review"), middle, free("disputed")],
  ["unknown dispute status", disputed("on_holiday"), middle, free("disputed")],
  ["lost after the subscription was created", disputed("lost"), middle, free("disputed")],
  ["lost before the subscription was created", disputed("lost", start - 1), middle, paid("subscription", end)],
  ["open since before the subscription was created", disputed("needs_response", start - 1), middle, free("disputed")],
  ["won", disputed("won"), middle, paid("subscription", end)],
  ["prevented", disputed("prevented"), middle, paid("subscription", end)],
  ["open inquiry", disputed("warning_needs_response"), middle, paid("subscription", end)],
  ["closed inquiry", disputed("warning_closed"), middle, paid("subscription", end)],
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
  ["newest ended, older one live", having({ status: "canceled" }, {}), middle, paid("subscription", end)],
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
  ["customer deleted, subscription still live", having({}), middle, paid("subscription", end)],
  ["subscription canceled with the customer", having({ status: "canceled" }), middle, free("canceled")],
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

describe("graceDays", () => {
  it("sets the length of the grace period, 0 included", () => {
    const none = { ...policy, graceDays: 0 };
    expect(entitlement(having(renewed), date(end + 1), none)).toEqual(free("past_due"));
    expect(entitlement(having(renewed), date(end + 2 * DAY), { ...policy, graceDays: 3 })).toMatchObject({
      reason: "grace",
    });
  });
});

describe("currentSubscription", () => {
  it("prefers a paid subscription to a newer incomplete one", () => {
    const paid = having({ status: "incomplete" }, { id: "sub_2" });
    expect(currentSubscription(paid)?.id).toBe("sub_2");
    expect(currentSubscription(having({ status: "unpaid" }, { id: "sub_2", status: "past_due" }))?.id).toBe("sub_2");
  });

  it("returns the newest live subscription, else the last ended one", () => {
    expect(currentSubscription(having({}, { id: "sub_2" }))?.id).toBe("sub_1");
    expect(currentSubscription(having({ status: "canceled" }, { id: "sub_2" }))?.id).toBe("sub_2");
    expect(currentSubscription(having({ status: "canceled" }))?.id).toBe("sub_1");
    expect(currentSubscription({ user_id: "user" })).toBeUndefined();
  });
});

describe("nextReview", () => {
  const review = (customer: Customer, now: number) => nextReview(customer, date(now), policy)?.toISOString() ?? null;
  const iso = (seconds: number) => date(seconds).toISOString();

  it.each([
    ["24 h later while a subscription is live", having({}), middle, iso(middle + DAY)],
    ["1 min after the period's end", having({}), end - 3600, iso(end + 60)],
    ["1 h later while the renewal is overdue", having({}), end + 600, iso(end + 600 + 3600)],
    ["1 min after cancel_at", having({ cancel_at: middle + 600 }), middle, iso(middle + 660)],
    ["1 min after the grace period", having(renewed), end + 7 * DAY - 600, iso(end + 7 * DAY + 60)],
    ["24 h later when the trial has ended", having({ trial_end: start }), middle, iso(middle + DAY)],
    ["24 h later when only payment retries remain", having(renewed), end + 10 * DAY, iso(end + 11 * DAY)],
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
    ["never for an ended subscription", { user_id: "user", review_by: iso(middle - 1) }, middle, null],
    [
      "at the grant's end",
      { user_id: "user", grant_plan: "vip" as const, grant_expires_at: iso(end) },
      middle,
      iso(end),
    ],
    ["never when time alone changes nothing", having({ status: "canceled" }), middle, null],
    ["never for an empty row", { user_id: "user" }, middle, null],
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
