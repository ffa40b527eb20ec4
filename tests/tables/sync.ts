import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import type { StripeFacts } from "../../functions/core/customer";
import { type SyncSources, syncCustomer } from "../../functions/core/sync";
import { createUserRows } from "../../functions/tables/userRows";
import { Random } from "../../verify/chaos/random";
import { facts, policy, subscription } from "./fixtures";
import { readUser } from "./items";
import type { Tables } from "./tables";

const USERS = 60;
const USERS_AT_ONCE = 12;

/** Tests of `syncCustomer`, for any server with DynamoDB's API. */
export function testSync(tables: () => Tables): void {
  const sources = (readFacts: SyncSources["readFacts"], rows = createUserRows(tables().users)): SyncSources => ({
    rows,
    readFacts,
    policy,
    now: () => new Date(),
    alarm: () => undefined,
  });

  it("writes Stripe's final state for any order of changes, events and syncs", async () => {
    const seed = Date.now();
    const rows = createUserRows(tables().users);
    let refused = 0;

    const live = async (user: string, random: Random) => {
      const customer = `cus_${user}`;
      const last = random.int(6, 9);
      const lastPlan = random.pick(["paid", "vip"]);
      // The sync of this change gets Stripe's answer only after the final change's sync has written.
      const overtaken = random.int(1, last - 1);
      const { promise: lastHasWritten, resolve: lastWrote } = Promise.withResolvers<void>();
      let atStripe = facts();

      const event = async (change: number) => {
        const isOvertaken = change === overtaken;
        // Every other sync starts when the event of its change arrives, up to 60 ms after the change.
        if (!isOvertaken) await sleep(random.int(0, 60));
        const stripe = sources(async () => {
          // Stripe's answer shows the state of some moment between request and answer.
          await sleep(random.int(0, 40));
          const read = structuredClone(atStripe);
          await (isOvertaken ? lastHasWritten : sleep(random.int(0, 40)));
          return read;
        }, rows);
        const { applied } = await syncCustomer(user, stripe).finally(() => change === last && lastWrote());
        if (!applied) refused++;
      };

      await rows.link(user, customer, new Date());
      const events: Promise<void>[] = [];
      for (let change = 1; change <= last; change++) {
        const status = random.pick(["incomplete", "trialing", "past_due", "canceled"]);
        const state = change === last ? { status: "active", price_ids: [`price_${lastPlan}`] } : { status };
        atStripe = facts(subscription({ id: `sub_${change}`, ...state }));
        events.push(event(change));
        if (random.chance(0.5)) await sleep(random.int(0, 30));
      }
      await Promise.all(events);

      expect(await readUser(tables(), user), `seed ${seed}`).toMatchObject({
        subscriptions: atStripe.subscriptions,
        known_plans: { [`sub_${last}`]: { plan: lastPlan } },
        stripe_customer_id: customer,
        stripe_subscription_id: `sub_${last}`,
        stripe_status: "active",
        plan: lastPlan,
        sync_ticket: last,
      });
    };
    const users = Array.from({ length: USERS }, (_, n) => n);
    for (let first = 0; first < USERS; first += USERS_AT_ONCE) {
      const some = users.slice(first, first + USERS_AT_ONCE);
      await Promise.all(some.map((user) => live(`u${user}`, new Random(seed, user))));
    }
    // Without a refused write this test would not exercise the check of sync tickets.
    expect(refused, `seed ${seed}`).toBeGreaterThan(0);
  });

  it("keeps the row and does not block later syncs when Stripe does not answer", async () => {
    let isDown = false;
    const working = sources(async () => {
      if (isDown) throw new Error("Stripe is down");
      return facts(subscription());
    });
    await createUserRows(tables().users).link("u", "cus_1", new Date());
    await syncCustomer("u", working);
    const before = await readUser(tables(), "u");
    isDown = true;
    await expect(syncCustomer("u", working)).rejects.toThrow("Stripe is down");
    expect(await readUser(tables(), "u")).toEqual({ ...before, sync_ticket: 2 });
    isDown = false;
    expect(await syncCustomer("u", working)).toMatchObject({ applied: true });
    expect(await readUser(tables(), "u")).toMatchObject({ sync_ticket: 3, applied_ticket: 3 });
  });

  it("returns the newer row when a later sync has already written", async () => {
    const { promise: arrives, resolve: answer } = Promise.withResolvers<StripeFacts>();
    const asked = Promise.withResolvers<void>();
    const rows = createUserRows(tables().users);
    await rows.link("u", "cus_1", new Date());
    const slow = syncCustomer(
      "u",
      sources(() => {
        asked.resolve();
        return arrives;
      }),
    );
    await asked.promise;
    await syncCustomer(
      "u",
      sources(async () => facts(subscription({ price_ids: ["price_vip"] }))),
    );
    answer(facts(subscription({ status: "incomplete" })));
    const { applied, customer } = await slow;
    expect(applied).toBe(false);
    expect(customer).toEqual(await rows.get("u"));
    expect(customer.subscriptions).toMatchObject([{ status: "active", price_ids: ["price_vip"] }]);
  });

  it("writes a grant's plan and does not call Stripe when the user has no Stripe customer", async () => {
    const rows = createUserRows(tables().users);
    await rows.grant("u", { plan: "vip" }, new Date());
    const nobody = sources(() => Promise.reject(new Error("This test must not call Stripe")));
    expect(await syncCustomer("u", nobody)).toMatchObject({ applied: true, customer: { grant_plan: "vip" } });
    const row = await readUser(tables(), "u");
    expect(row).toMatchObject({ plan: "vip", stripe_status: null, grant_plan: "vip" });
    expect(row).not.toHaveProperty("subscriptions");
    expect(row).not.toHaveProperty("synced_at");
  });

  it("schedules a review at the given time", async () => {
    const rows = createUserRows(tables().users);
    await rows.link("u", "cus_1", new Date());
    const reviewBy = new Date(Date.now() + 600_000);
    const due = async (now: Date) => {
      const found: string[] = [];
      for await (const user of rows.due(now)) found.push(user);
      return found;
    };
    await syncCustomer(
      "u",
      sources(async () => facts()),
      { reviewBy },
    );
    // Another sync before the review time must not change the review time.
    await syncCustomer(
      "u",
      sources(async () => facts()),
    );
    expect(await due(new Date(reviewBy.getTime() - 1))).toEqual([]);
    expect(await due(reviewBy)).toEqual(["u"]);
    const afterwards = sources(async () => facts(subscription({ status: "canceled" })));
    await syncCustomer("u", { ...afterwards, now: () => new Date(reviewBy.getTime() + 1) });
    expect(await due(new Date(reviewBy.getTime() + 10 * 366 * 86_400_000))).toEqual([]);
  });
}
