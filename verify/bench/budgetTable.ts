import Table from "cli-table3";
import pc from "picocolors";

/** A table of measured values and their budgets. */
export class BudgetTable {
  private readonly table = new Table({
    head: ["what", "measured", "budget", "of budget"],
    style: { head: [], border: [] },
  });
  private over = 0;

  /** Whether any value exceeds its budget. */
  get isOver(): boolean {
    return this.over > 0;
  }

  /** Adds a value with an upper limit. */
  atMost(what: string, value: number, budget: number, format: (value: number) => string): void {
    this.row(what, format(value), `≤ ${format(budget)}`, value / budget);
  }

  /** Adds a value with a lower limit. */
  atLeast(what: string, value: number, budget: number, format: (value: number) => string): void {
    this.row(what, format(value), `≥ ${format(budget)}`, budget / value);
  }

  /** Adds a value without a budget. */
  fact(what: string, value: string): void {
    this.table.push([what, value, "", ""]);
  }

  /** Prints the table and the number of values that exceed their budget. */
  print(): void {
    console.log(this.table.toString());
    if (this.isOver)
      console.log(pc.yellow(`Values over budget: ${this.over}. The budgets are for two otherwise idle cores.`));
  }

  /** @param share measured value divided by its budget. For a lower limit: budget divided by the measured value */
  private row(what: string, value: string, budget: string, share: number): void {
    if (share > 1) this.over += 1;
    const colour = share > 1 ? pc.red : pc.green;
    this.table.push([what, value, budget, colour(`${Math.round(share * 100)} %`)]);
  }
}
