import { expect, it } from "vitest";
import { costMicroUsd, microUsd, reservationEnd } from "../../../functions/core/relay/spend";

const prices = { input: 2, cachedInput: 0.2, output: 10 };

it("charges cached tokens at the price of cached tokens", () => {
  expect(costMicroUsd({ prompt_tokens: 1_000, completion_tokens: 100 }, prices)).toBe(3_000);
  expect(costMicroUsd({ prompt_tokens: 1_000, completion_tokens: 100, cached_tokens: 900 }, prices)).toBe(1_380);
});

it("rounds up to whole micro-dollars", () => {
  expect(costMicroUsd({ prompt_tokens: 1, completion_tokens: 0, cached_tokens: 1 }, prices)).toBe(1);
  expect(costMicroUsd({ prompt_tokens: 0, completion_tokens: 0 }, prices)).toBe(0);
});

it("converts dollars without rounding errors", () => {
  expect(microUsd(0.29)).toBe(290_000);
  expect(microUsd(20)).toBe(20_000_000);
});

it("keeps a reservation for at least 10 and at most 20 minutes, which is longer than the relay's timeout", () => {
  const minutesOf = (time: string) => reservationEnd(new Date(time)) / 60 - new Date(time).getTime() / 60_000;
  expect(minutesOf("2026-11-27T12:00:00Z")).toBe(20);
  expect(minutesOf("2026-11-27T12:09:59.999Z")).toBeCloseTo(10);
  expect(minutesOf("2026-11-27T23:59:00Z")).toBe(11);
});
