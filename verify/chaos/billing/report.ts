import Table from "cli-table3";
import pc from "picocolors";
import type { Entitlement } from "../../../functions/core/entitlement";
import { type Report, SHOWN_WRONG_RUNS, type SimulationOptions, type WrongRunSummary, wrongRunLines } from "../report";
import { type BillingResult, simulateBilling, type WrongRun } from "./simulation";

/** Runs the billing simulation. */
export async function reportBilling(options: SimulationOptions): Promise<Report> {
  const wrongRuns: WrongRunSummary[] = [];
  const result = await simulateBilling(options, ({ seed, difference }) => {
    if (wrongRuns.length < SHOWN_WRONG_RUNS) wrongRuns.push({ seed, what: [explain(difference)] });
  });
  return { result: { ...result, wrongRuns }, failed: result.wrong > 0, lines: () => describe(result, wrongRuns) };
}

function describe({ runs, wrong, staleRefused, weaker }: BillingResult, wrongRuns: WrongRunSummary[]): string[] {
  const table = new Table({ head: ["strategy", "wrong", "of runs"], style: { head: [], border: [] } });
  const row = (name: string, count: number, isGood: boolean) => {
    const share = `${((100 * count) / runs).toFixed(2)} %`;
    table.push([name, isGood ? pc.green(String(count)) : pc.red(String(count)), share]);
  };
  row("production: sync ticket, re-read, fenced write", wrong, wrong === 0);
  for (const [name, count] of Object.entries(weaker)) row(`weaker: ${name}`, count, false);
  return [
    table.toString(),
    `${runs} runs; the check of sync tickets refused ${staleRefused} stale writes`,
    ...wrongRunLines(wrongRuns, wrong),
  ];
}

function explain(difference: WrongRun["difference"]): string {
  if (!difference) return "a new customer cannot buy after server errors of Stripe";
  const { at, expected, got } = difference;
  return `at ${at.toISOString()} the plan is ${show(expected)} from Stripe's state, but ${show(got)} from the row`;
}

function show({ plan, reason, expiresAt }: Entitlement): string {
  return `${plan} (${reason}, ${expiresAt ? `until ${expiresAt.toISOString()}` : "no end"})`;
}
