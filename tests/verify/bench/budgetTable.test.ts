import { describe, expect, it } from "vitest";
import { BudgetTable } from "../../../verify/bench/budgetTable";

describe("BudgetTable", () => {
  it("is within budget when every value equals its limit", () => {
    const table = new BudgetTable();
    table.atMost("time", 5, 5, String);
    table.atLeast("throughput", 0.95, 0.95, String);
    table.fact("requests", "7");
    expect(table.isOver).toBe(false);
  });

  it("is over budget when one value is above its upper limit", () => {
    const table = new BudgetTable();
    table.atMost("time", 5.01, 5, String);
    table.atMost("size", 1, 5, String);
    expect(table.isOver).toBe(true);
  });

  it("is over budget when one value is below its lower limit", () => {
    const table = new BudgetTable();
    table.atLeast("throughput", 0.94, 0.95, String);
    expect(table.isOver).toBe(true);
  });
});
