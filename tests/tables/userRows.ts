import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { expect, it, vi } from "vitest";
import { createUserRows } from "../../functions/tables/userRows";
import { Random } from "../../verify/chaos/random";
import { facts, subscription, write } from "./fixtures";
import { plantUser, readUser } from "./items";
import type { Tables } from "./tables";

/** Tests of `functions/tables/userRows.ts`, for any server with DynamoDB's API. */
export function testUserRows(tables: () => Tables): void {
  const now = new Date();
  const after = (seconds: number) => new Date(now.getTime() + seconds * 1000);
  const open = () => createUserRows(tables().users);
  const all = async (ids: AsyncIterable<string>) => {
    const found: string[] = [];
    for await (const id of ids) found.push(id);
    return found;
  };

  it("gives a hundred concurrent syncs different sync tickets", async () => {
    const rows = open();
    const taken = await Promise.all(Array.from({ length: 100 }, () => rows.takeTicket("u", now)));
    const numbers = taken.map(({ ticket }) => ticket).sort((a, b) => a - b);
    expect(numbers).toEqual(Array.from({ length: 100 }, (_, n) => n + 1));
    expect((await rows.takeTicket("someone else", now)).ticket).toBe(1);
  });

  it("returns a row together with its sync ticket, and keeps the row's creation time", async () => {
    const rows = open();
    expect(await rows.takeTicket("u", now)).toEqual({
      ticket: 1,
      customer: { user_id: "u", known_plans: {} },
    });
    await rows.link("u", "cus_1", after(1));
    await rows.grant("u", { plan: "vip" }, after(2));
    expect(await rows.takeTicket("u", after(3))).toEqual({
      ticket: 2,
      customer: { user_id: "u", stripe_customer_id: "cus_1", grant_plan: "vip", known_plans: {} },
    });
    expect((await readUser(tables(), "u"))?.created_at).toBe(now.toISOString());
  });

  it.each(["link", "grant"] as const)("creates a row with a creation time for a %s", async (method) => {
    const rows = open();
    for (const at of [now, after(1)]) {
      await (method === "link" ? rows.link("u", "cus_1", at) : rows.grant("u", { plan: "paid" }, at));
    }
    expect((await readUser(tables(), "u"))?.created_at).toBe(now.toISOString());
  });

  it("accepts a write with a higher sync ticket and refuses a lower or equal ticket", async () => {
    const rows = open();
    const read = (id: string) => write({ facts: facts(subscription({ id })), stripeSubscriptionId: id });
    const ids = async () => (await rows.get("u"))?.subscriptions?.map(({ id }) => id);
    for (let ticket = 1; ticket <= 4; ticket++) await rows.takeTicket("u", now);

    expect(await rows.apply("u", 2, read("sub_2"))).toBe(true);
    const row = await readUser(tables(), "u");
    expect(await rows.apply("u", 1, read("sub_1"))).toBe(false);
    expect(await rows.apply("u", 2, read("sub_2_again"))).toBe(false);
    expect(await readUser(tables(), "u")).toEqual(row);
    expect(await rows.apply("u", 4, read("sub_4"))).toBe(true);
    expect(await rows.apply("u", 3, read("sub_3"))).toBe(false);
    expect(await ids()).toEqual(["sub_4"]);
    // Tickets are compared as numbers: 10 is above 9.
    expect(await rows.apply("u", 9, read("sub_9"))).toBe(true);
    expect(await rows.apply("u", 10, read("sub_10"))).toBe(true);
    expect(await ids()).toEqual(["sub_10"]);
  });

  it("keeps the write with the highest sync ticket for any order of writes", async () => {
    const rows = open();
    const seed = Date.now();
    for (let user = 0; user < 20; user++) {
      const random = new Random(seed, user);
      const tickets = Array.from({ length: 8 }, (_, n) => n + 1).sort(() => random.next() - 0.5);
      const read = (ticket: number) => write({ facts: facts(subscription({ id: `sub_${ticket}` })) });
      const applied = await Promise.all(tickets.map((ticket) => rows.apply(`u${user}`, ticket, read(ticket))));
      expect(applied[tickets.indexOf(8)], `seed ${seed}`).toBe(true);
      expect((await rows.get(`u${user}`))?.subscriptions, `seed ${seed}`).toMatchObject([{ id: "sub_8" }]);
    }
  });

  it("returns every fact unchanged", async () => {
    const rows = open();
    const odd = subscription({ id: "sub_2", price_ids: [], period_end: null, trial_end: 1, cancel_at: 2 });
    const stripe = {
      subscriptions: [subscription(), odd],
      disputes: [{ id: "dp_1", status: "needs_response", created: 1_700_000_000 }],
      customer_deleted: true,
      clock_ahead_seconds: -3600,
    };
    await rows.apply("u", 1, write({ facts: stripe, now }));
    const times = { synced_at: now.toISOString(), updated_at: now.toISOString() };
    expect(await rows.get("u")).toEqual({ user_id: "u", ...stripe, ...times });
    await rows.apply("u", 2, write({ facts: facts(), now }));
    expect(await rows.get("u")).toEqual({ user_id: "u", ...facts(), ...times });
  });

  it("stores the computed plan for people who look at the table", async () => {
    const expiresAt = after(60);
    await open().apply("u", 1, write({ entitlement: { plan: "vip", reason: "trial", expiresAt } }));
    expect(await readUser(tables(), "u")).toMatchObject({
      plan: "vip",
      expires_at: expiresAt.toISOString(),
      stripe_status: "active",
      stripe_subscription_id: "sub_1",
      applied_ticket: 1,
    });
    const nothing = { stripeStatus: null, stripeSubscriptionId: null };
    await open().apply(
      "u",
      2,
      write({ entitlement: { plan: "free", reason: "no_plan", expiresAt: null }, ...nothing }),
    );
    expect(await readUser(tables(), "u")).toMatchObject({ plan: "free", expires_at: null, stripe_status: null });
  });

  it("keeps the facts of a row when a sync has read no facts", async () => {
    const rows = open();
    await rows.apply("u", 1, write({ now }));
    const before = await rows.get("u");
    expect(await rows.apply("u", 2, write({ facts: undefined, now: after(5) }))).toBe(true);
    expect(await rows.get("u")).toEqual({ ...before, updated_at: after(5).toISOString() });
  });

  it("remembers the last known plan of every subscription", async () => {
    const rows = open();
    const plan = (price: string) => ({ plan: "paid" as const, price_ids: [price] });
    const remembered = async () => (await rows.get("u"))?.known_plans;
    for (let ticket = 1; ticket <= 4; ticket++) await rows.takeTicket("u", now);
    await rows.apply("u", 1, write({ knownPlans: { sub_1: plan("a"), "sub-2.x": plan("b") } }));
    await rows.apply("u", 3, write({ knownPlans: { sub_1: plan("c"), sub_3: plan("d") } }));
    const known = { sub_1: plan("c"), "sub-2.x": plan("b"), sub_3: plan("d") };
    expect(await remembered()).toEqual(known);
    await rows.apply("u", 2, write({ knownPlans: { sub_1: plan("late") } }));
    await rows.takeTicket("u", now);
    await rows.apply("u", 4, write());
    expect(await remembered()).toEqual(known);
  });

  it("keeps review_by until a later sync ticket replaces it", async () => {
    const rows = open();
    const first = await rows.takeTicket("u", now, after(60));
    expect(first.customer.review_by).toBe(after(60).toISOString());
    expect((await rows.takeTicket("u", now)).customer.review_by).toBe(after(60).toISOString());
    await rows.apply("u", 2, write());
    expect((await rows.takeTicket("u", now, after(90))).customer.review_by).toBe(after(90).toISOString());
  });

  it("keeps the grant and the Stripe customer of a row after every sync", async () => {
    const rows = open();
    const grant = { plan: "vip", expiresAt: after(60), note: "friend of the house" } as const;
    await rows.link("u", "cus_1", now);
    await Promise.all([
      rows.grant("u", grant, now),
      ...Array.from({ length: 10 }, (_, n) => rows.apply("u", n + 1, write())),
    ]);
    await rows.apply("u", 11, write({ facts: undefined }));
    expect(await readUser(tables(), "u")).toMatchObject({
      stripe_customer_id: "cus_1",
      grant_plan: "vip",
      grant_expires_at: after(60).toISOString(),
      grant_note: "friend of the house",
      granted_at: now.toISOString(),
    });
  });

  it("replaces a grant completely and removes a revoked grant", async () => {
    const rows = open();
    const granted = async () =>
      Object.fromEntries(
        Object.entries((await readUser(tables(), "u")) ?? {}).filter(([name]) => name.startsWith("grant")),
      );
    await rows.apply("u", 1, write());
    await rows.grant("u", { plan: "vip", expiresAt: after(60), note: "a" }, now);
    await rows.grant("u", { plan: "paid" }, after(1));
    expect(await granted()).toEqual({ granted_at: after(1).toISOString(), grant_plan: "paid" });
    await rows.grant("u", { plan: null, note: "over" }, after(2));
    expect(await granted()).toEqual({ granted_at: after(2).toISOString(), grant_note: "over" });
    await rows.grant("u", { plan: null }, after(3));
    expect(await granted()).toEqual({ granted_at: after(3).toISOString() });
    expect((await rows.get("u"))?.subscriptions).toHaveLength(1);
  });

  it("keeps the first Stripe customer of a row when another customer is linked", async () => {
    const rows = open();
    expect(await rows.link("u", "cus_1", now)).toBe("cus_1");
    expect(await rows.link("u", "cus_1", now)).toBe("cus_1");
    expect(await rows.link("u", "cus_2", now)).toBe("cus_1");

    const ids = Array.from({ length: 30 }, (_, n) => `cus_race_${n}`);
    const linked = await Promise.all(ids.map((id) => rows.link("race", id, now)));
    expect(new Set(linked).size).toBe(1);
    expect((await rows.get("race"))?.stripe_customer_id).toBe(linked[0]);
  });

  it("does not link a row to a Stripe customer of another user", async () => {
    const rows = open();
    await rows.link("first", "cus_shared", now);
    expect(await rows.link("second", "cus_shared", now)).toBeUndefined();
    expect(await rows.get("second")).toBeUndefined();
  });

  it("allows one attempt to create a customer until that attempt has failed", async () => {
    const rows = open();
    const attempts = await Promise.all(Array.from({ length: 20 }, () => rows.creationAttempt("creating", now)));
    expect(new Set(attempts).size).toBe(1);
    const [failed = ""] = attempts;
    const next = await Promise.all(Array.from({ length: 20 }, () => rows.creationAttempt("creating", now, failed)));
    expect(new Set(next).size).toBe(1);
    expect(next[0]).not.toBe(failed);
    expect(await rows.creationAttempt("creating", now)).toBe(next[0]);
  });

  it("removes the Stripe customer and its facts when a row is unlinked", async () => {
    const rows = open();
    await rows.link("unlinked", "cus_unlinked", now);
    await rows.grant("unlinked", { plan: "vip" }, now);
    await rows.unlink("unlinked", now);
    const { row } = await rows.inspect("unlinked");
    expect(row).toMatchObject({ user_id: "unlinked", grant_plan: "vip" });
    expect(row).not.toHaveProperty("stripe_customer_id");
    expect(await rows.findByStripeCustomer("cus_unlinked")).toBeUndefined();
  });

  it("replaces the Stripe customer only when the caller passes the current customer's id", async () => {
    const rows = open();
    await rows.link("u", "cus_gone", now);
    expect(await rows.link("u", "cus_new", now, "cus_other")).toBe("cus_gone");
    const ids = Array.from({ length: 20 }, (_, n) => `cus_${n}`);
    const linked = await Promise.all(ids.map((id) => rows.link("u", id, now, "cus_gone")));
    expect(new Set(linked).size).toBe(1);
    expect((await rows.get("u"))?.stripe_customer_id).toBe(linked[0]);
    expect(linked[0]).not.toBe("cus_gone");

    const found = await Promise.all(["cus_gone", ...ids].map((id) => rows.findByStripeCustomer(id)));
    expect(found.filter(Boolean)).toEqual(["u"]);
    expect(found[0]).toBeUndefined();
  });

  it("finds a row by its Stripe customer id", async () => {
    const rows = open();
    await Promise.all(Array.from({ length: 20 }, (_, n) => rows.link(`u${n}`, `cus_${n}`, now)));
    await rows.takeTicket("without", now);
    expect(await rows.findByStripeCustomer("cus_7")).toBe("u7");
    expect(await rows.findByStripeCustomer("cus_99")).toBeUndefined();
    const everyone = Array.from({ length: 20 }, (_, n) => `u${n}`);
    expect((await all(rows.withStripeCustomer())).sort()).toEqual(everyone.sort());
  });

  it("finds a row when a query returns several pages", async () => {
    // A query page ends at 1 MB.
    const rows = open();
    const ids = Array.from({ length: 700 }, (_, n) => `u${String(n).padStart(4, "0")}${"x".repeat(1_800)}`);
    const items = ids.map((user_id, n) => ({
      user_id,
      stripe_customer_id: `cus_${n}`,
      review_queue: "stripe",
      needs_review_at: after(n).toISOString(),
    }));
    for (let at = 0; at < items.length; at += 20) {
      await Promise.all(items.slice(at, at + 20).map((item) => plantUser(tables(), item)));
    }
    using send = vi.spyOn(DynamoDBClient.prototype, "send");
    expect(await all(rows.due(after(ids.length)))).toEqual(ids);
    expect(send.mock.calls.length).toBeGreaterThan(1);
    expect((await all(rows.withStripeCustomer())).sort()).toEqual(ids);
  });

  it("returns a row when its review is due, after the rows with an earlier review time", async () => {
    const rows = open();
    const due = { late: 300, soonest: -10, first: 100, next: 200, later: 1000 };
    for (const [user, seconds] of Object.entries(due)) await rows.apply(user, 1, write({ reviewAt: after(seconds) }));
    await rows.apply("never", 1, write());
    await rows.takeTicket("new", now);
    expect(await all(rows.due(after(300)))).toEqual(["soonest", "first", "next", "late"]);
    expect(await all(rows.due(after(299.999)))).toEqual(["soonest", "first", "next"]);
    expect(await all(rows.due(after(-20)))).toEqual([]);
  });

  it("moves a row in the review queue with its next review, and removes a row without a next review", async () => {
    const rows = open();
    await rows.apply("u", 1, write({ reviewAt: now }));
    await rows.apply("v", 1, write({ reviewAt: after(1) }));
    await rows.apply("u", 2, write({ reviewAt: after(2) }));
    expect(await all(rows.due(after(5)))).toEqual(["v", "u"]);
    await rows.apply("v", 2, write({ reviewAt: null }));
    // The table refuses this stale write, so the row must stay in the queue.
    await rows.apply("u", 1, write({ reviewAt: null }));
    expect(await all(rows.due(after(5)))).toEqual(["u"]);
    expect(await readUser(tables(), "v")).not.toHaveProperty("review_queue");
    expect(await readUser(tables(), "v")).not.toHaveProperty("needs_review_at");
  });

  it("shows all attributes of a row in a consistent read by an operator", async () => {
    const rows = open();
    expect(await rows.inspect("u")).toEqual({ customer: undefined, row: null });
    await rows.takeTicket("u", now);
    using send = vi.spyOn(DynamoDBClient.prototype, "send");
    const customer = { user_id: "u", known_plans: {} };
    const row = { ...customer, sync_ticket: 1, created_at: now.toISOString() };
    expect(await rows.inspect("u")).toEqual({ customer, row });
    expect(send.mock.calls[0]?.[0].input).toMatchObject({ ConsistentRead: true });
  });

  it("throws unavailable from every method when the table does not answer", async () => {
    const rows = createUserRows("no-such-table");
    const asked = [
      () => rows.get("u"),
      () => rows.inspect("u"),
      () => rows.takeTicket("u", now),
      () => rows.apply("u", 1, write()),
      () => rows.link("u", "cus_1", now),
      () => rows.grant("u", { plan: "vip" }, now),
      () => rows.findByStripeCustomer("cus_1"),
      () => all(rows.due(now)),
      () => all(rows.withStripeCustomer()),
    ];
    const ended = await Promise.allSettled(asked.map((ask) => ask()));
    const codes = ended.map((one) => one.status === "rejected" && one.reason.code);
    expect(codes).toEqual(asked.map(() => "unavailable"));
  });
}
