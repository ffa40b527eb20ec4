import type Stripe from "stripe";
import { afterEach, describe, expect, it, vi } from "vitest";
import { allFromStripe, fromStripe } from "../../functions/stripe/client";

afterEach(() => vi.useRealTimers());

describe("Stripe call", () => {
  const unavailable = { code: "unavailable", cause: "Stripe did not answer in time" };

  it("times out when Stripe never answers", async () => {
    vi.useFakeTimers();
    const never = new Promise<Stripe.Customer>(() => {});
    const outcome = expect(fromStripe("customer", never)).rejects.toMatchObject(unavailable);
    await vi.advanceTimersByTimeAsync(12_000);
    await outcome;
  });

  it("times out when the second page of a list never arrives", async () => {
    vi.useFakeTimers();
    const page = { object: "list", data: [], has_more: true, url: "/v1/charges" };
    const list = Object.assign(Promise.resolve(page), {
      [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }),
    });
    const outcome = expect(allFromStripe(list as never)).rejects.toMatchObject(unavailable);
    await vi.advanceTimersByTimeAsync(12_000);
    await outcome;
  });

  it("clears its timer after an answer", async () => {
    vi.useFakeTimers();
    await fromStripe("list", Promise.resolve({ object: "list" as const }));
    expect(vi.getTimerCount()).toBe(0);
  });
});
