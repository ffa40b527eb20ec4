import { describe, expect, it } from "vitest";
import { fisherExact, mannWhitney } from "../../../functions/core/canary/statistics";

describe("Fisher's exact test", () => {
  it("gives the published probability of the lady tasting tea", () => {
    // R. A. Fisher, The Design of Experiments (1935): 3 of 4 cups or more by chance, 17 of 70 ways.
    expect(fisherExact({ of: 4, count: 3 }, { of: 4, count: 1 })).toBeCloseTo(17 / 70, 10);
  });

  it("gives 1 for no hits", () => {
    expect(fisherExact({ of: 50, count: 0 }, { of: 500, count: 20 })).toBeCloseTo(1, 10);
  });

  it("gives a tiny probability for a rate of 30% against 1%", () => {
    expect(fisherExact({ of: 100, count: 30 }, { of: 1_000, count: 10 })).toBeLessThan(1e-12);
  });
});

describe("Mann-Whitney test", () => {
  it("finds no difference between equal histograms", () => {
    expect(mannWhitney([10, 20, 10], [100, 200, 100])).toEqual({ above: 0.5, probability: 1 });
  });

  it("finds that all values of the first histogram are above those of the second", () => {
    const { above, probability } = mannWhitney([0, 0, 50], [500, 0, 0]);
    expect(above).toBe(1);
    expect(probability).toBeLessThan(1e-12);
  });

  it("finds no difference when all values are equal or one histogram is empty", () => {
    expect(mannWhitney([0, 50], [0, 500]).probability).toBe(1);
    expect(mannWhitney([0, 0], [0, 500]).probability).toBe(1);
  });
});
