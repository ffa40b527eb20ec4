import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { expect, it, vi } from "vitest";
import { type CheckoutAttempt, createCheckoutAttempts } from "../../functions/tables/checkoutAttempts";
import { readEphemeral } from "./items";
import type { Tables } from "./tables";

/** Tests of `functions/tables/checkoutAttempts.ts`, for any server with DynamoDB's API. */
export function testCheckoutAttempts(tables: () => Tables): void {
  const now = new Date();
  const end = Math.floor(now.getTime() / 1000) + 1800;
  const attempt = (id: string, over: Partial<CheckoutAttempt> = {}): CheckoutAttempt => ({
    id,
    plan: "paid",
    price_id: "price_1",
    return_url: "https://app.example.com/billing",
    expires_at: end,
    ...over,
  });
  const open = () => createCheckoutAttempts(tables().ephemeral);
  const at = (seconds: number) => new Date(seconds * 1000);

  it("starts an attempt when there is no current attempt, and stores every field", async () => {
    const attempts = open();
    expect(await attempts.current("u", now)).toBeUndefined();
    expect(await attempts.start("u", attempt("a"), undefined, now)).toBe(true);
    expect(await attempts.current("u", now)).toEqual(attempt("a"));
    expect(await attempts.current("someone else", now)).toBeUndefined();
    expect((await readEphemeral(tables(), "checkout#u"))?.ttl).toBe(end);
  });

  it("starts only one attempt when many requests start an attempt at the same time", async () => {
    const attempts = open();
    const tries = Array.from({ length: 30 }, (_, n) => attempt(`a${n}`));
    const started = await Promise.all(tries.map((one) => attempts.start("u", one, undefined, now)));
    expect(started.filter(Boolean)).toHaveLength(1);
    expect(await attempts.current("u", now)).toEqual(tries[started.indexOf(true)]);
  });

  it("replaces an attempt only once, and only for a request that has read the current attempt", async () => {
    const attempts = open();
    const first = attempt("first");
    await attempts.start("u", first, undefined, now);
    const tries = Array.from({ length: 30 }, (_, n) => attempt(`a${n}`, { plan: "vip" }));
    const started = await Promise.all(tries.map((one) => attempts.start("u", one, first, now)));
    expect(started.filter(Boolean)).toHaveLength(1);
    expect(await attempts.start("u", attempt("late"), first, now)).toBe(false);
    expect(await attempts.start("u", attempt("blind"), undefined, now)).toBe(false);
    expect(await attempts.current("u", now)).toEqual(tries[started.indexOf(true)]);
  });

  it("cannot replace an attempt that does not exist", async () => {
    const attempts = open();
    expect(await attempts.start("u", attempt("a"), attempt("never"), now)).toBe(false);
    expect(await attempts.current("u", now)).toBeUndefined();
  });

  it("stores the session of an attempt unless a newer attempt has started", async () => {
    const attempts = open();
    const [first, second] = [attempt("first"), attempt("second")];
    expect(await attempts.handOut("u", first, "cs_0")).toBe(false);
    expect(await readEphemeral(tables(), "checkout#u")).toBeUndefined();

    await attempts.start("u", first, undefined, now);
    expect(await attempts.handOut("u", first, "cs_1")).toBe(true);
    expect(await attempts.handOut("u", first, "cs_1")).toBe(true);
    expect(await attempts.current("u", now)).toEqual({ ...first, session_id: "cs_1" });

    await attempts.start("u", second, first, now);
    expect(await attempts.handOut("u", first, "cs_1")).toBe(false);
    expect(await attempts.current("u", now)).toEqual(second);
  });

  it("stores no session for an attempt that is replaced at the same time", async () => {
    const attempts = open();
    await Promise.all(
      Array.from({ length: 20 }, async (_, n) => {
        const user = `u${n}`;
        const [first, second] = [attempt("first"), attempt("second")];
        await attempts.start(user, first, undefined, now);
        const handOut = () => attempts.handOut(user, first, "cs_1");
        const replace = () => attempts.start(user, second, first, now);
        await Promise.all(n % 2 ? [handOut(), replace()] : [replace(), handOut()]);
        expect(await attempts.current(user, now)).toEqual(second);
      }),
    );
  });

  it("ignores an expired attempt even while its item still exists", async () => {
    const attempts = open();
    const old = attempt("old", { session_id: "cs_old" });
    await attempts.start("u", old, undefined, now);
    const justBefore = new Date(end * 1000 - 1);
    expect(await attempts.current("u", justBefore)).toEqual(old);
    expect(await attempts.start("u", attempt("early"), undefined, justBefore)).toBe(false);

    expect(await readEphemeral(tables(), "checkout#u")).toBeDefined();
    for (const over of [at(end), at(end + 0.5), at(end + 86_400)]) {
      expect(await attempts.current("u", over)).toBeUndefined();
    }
    const next = Array.from({ length: 10 }, (_, n) => attempt(`next${n}`, { expires_at: end + 1800 }));
    const started = await Promise.all(next.map((one) => attempts.start("u", one, undefined, at(end))));
    expect(started.filter(Boolean)).toHaveLength(1);
    expect(await attempts.current("u", at(end))).toEqual(next[started.indexOf(true)]);
    // The new attempt must not keep the old attempt's expiry.
    expect((await readEphemeral(tables(), "checkout#u"))?.ttl).toBe(end + 1800);
  });

  it("reads an attempt with a consistent read", async () => {
    using send = vi.spyOn(DynamoDBClient.prototype, "send");
    await open().current("u", now);
    expect(send.mock.calls[0]?.[0].input).toMatchObject({ ConsistentRead: true });
  });

  it("throws unavailable when the table does not answer", async () => {
    const attempts = createCheckoutAttempts("no-such-table");
    const unavailable = { code: "unavailable" };
    await expect(attempts.current("u", now)).rejects.toMatchObject(unavailable);
    await expect(attempts.start("u", attempt("a"), undefined, now)).rejects.toMatchObject(unavailable);
    await expect(attempts.handOut("u", attempt("a"), "cs_1")).rejects.toMatchObject(unavailable);
  });
}
