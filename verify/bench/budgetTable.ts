import Table from "cli-table3";
import pc from "picocolors";

/** A table of what was measured beside what is allowed. */
export class BudgetTable {
  private readonly table = new Table({
    head: ["what", "measured", "budget", "of budget"],
    style: { head: [], border: [] },
  });
  private over = 0;

  /** What may be at most `budget`. */
  atMost(what: string, value: number, budget: number, show: (value: number) => string): void {
    this.row(what, show(value), `≤ ${show(budget)}`, value / budget);
  }

  /** What must be at least `budget`. */
  atLeast(what: string, value: number, budget: number, show: (value: number) => string): void {
    this.row(what, show(value), `≥ ${show(budget)}`, budget / value);
  }

  /** What has no budget. */
  fact(what: string, value: string): void {
    this.table.push([what, value, "", ""]);
  }

  /** Shows it, with a word on what is over budget. */
  print(): void {
    console.log(this.table.toString());
    if (this.over > 0)
      console.log(pc.yellow(`${this.over} over budget. The budgets are for two cores with nothing else to do.`));
  }

  private row(what: string, value: string, budget: string, share: number): void {
    if (share > 1) this.over += 1;
    const colour = share > 1 ? pc.red : pc.green;
    this.table.push([what, value, budget, colour(`${Math.round(share * 100)} %`)]);
  }
}
