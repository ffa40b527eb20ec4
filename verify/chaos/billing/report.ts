import Table from "cli-table3";
import pc from "picocolors";
import { type PlayOptions, type Report, SHOWN_WRONG_RUNS } from "../report";
import { type SimulationResult, simulateBilling, type WrongRun } from "./billing";

/** Plays billing, and tells of it. */
export async function playBilling(options: PlayOptions): Promise<Report> {
  const wrongRuns: WrongRun[] = [];
  const result = await simulateBilling(options, (wrong) => {
    if (wrongRuns.length < SHOWN_WRONG_RUNS) wrongRuns.push(wrong);
  });
  return { result, failed: result.wrong > 0, lines: () => describe(result, wrongRuns) };
}

function describe({ runs, wrong, staleRefused, weaker }: SimulationResult, wrongRuns: WrongRun[]): string[] {
  const table = new Table({ head: ["strategy", "wrong", "of runs"], style: { head: [], border: [] } });
  const row = (name: string, count: number, isGood: boolean) => {
    const share = `${((100 * count) / runs).toFixed(2)} %`;
    table.push([name, isGood ? pc.green(String(count)) : pc.red(String(count)), share]);
  };
  row("production: ticket, re-read, fenced write", wrong, wrong === 0);
  for (const [name, count] of Object.entries(weaker)) row(`weaker: ${name}`, count, false);
  const lines = [table.toString(), `${runs} runs; the fence refused ${staleRefused} stale writes`];
  for (const { seed, at, expected, got } of wrongRuns) {
    lines.push(
      pc.red(`wrong: --seed ${seed} --runs 1`),
      `  at ${at.toISOString()} Stripe gives ${show(expected)}, the row ${show(got)}`,
    );
  }
  if (wrong > wrongRuns.length) lines.push(`  … and ${wrong - wrongRuns.length} more`);
  return lines;
}

function show({ plan, reason, expiresAt }: WrongRun["expected"]): string {
  return `${plan} (${reason}, ${expiresAt ? `until ${expiresAt.toISOString()}` : "no end"})`;
}
