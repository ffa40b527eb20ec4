import pc from "picocolors";
import { fittedTable, withoutLines } from "../../cli/fittedTable";
import { type ByCase, cases, type Line, total } from "./estimate";
import type { PriceSource } from "./prices/source";
import type { SettingEffect } from "./settings";
import { assumptions, DAYS } from "./traffic";

/** Result of the command. Amounts are US dollars per month. */
export interface CostReport {
  stack: string;
  chatsPerDay: number;
  days: number;
  totals: ByCase<number>;
  lines: Line[];
  /** Settings that move the expected and the worst total most. */
  settings: Record<"expected" | "worst", SettingEffect[]>;
  assumptions: typeof assumptions;
  prices: PriceSource[];
  notes: string[];
}

/** Creates a report. Amounts are rounded to cents. */
export function createReport(report: Omit<CostReport, "days" | "totals" | "assumptions">): CostReport {
  const lines = report.lines.map((line) => ({ ...line, usd: rounded(line.usd) }));
  const effects = (list: SettingEffect[]) => list.map((effect) => ({ ...effect, usd: rounded(effect.usd) }));
  const { expected, worst } = report.settings;
  return {
    ...report,
    days: DAYS,
    totals: rounded(total(lines)),
    lines,
    settings: { expected: effects(expected), worst: effects(worst) },
    assumptions,
  };
}

/** Text of a report for a terminal. */
export function reportText({ stack, chatsPerDay, totals, lines, settings, prices, notes }: CostReport): string {
  const parts = [
    `Stack ${stack}: US dollars in a month of ${DAYS} days with ${chatsPerDay} chats per day`,
    billTable(lines, totals),
    "low       the same chats, with visits that share their workers",
    "expected  visits one by one; idle workers wait for the customer",
    "worst     every limit is used all month: workersMax, relay.concurrency, throttle and vip.dailyUsd",
    "counted   the use in the expected case",
    "",
    settingsTable(settings),
    "",
    ...notes.map((note) => pc.yellow(note)),
    ...prices.map(({ of, date, source }) => pc.dim(`Prices of ${of}: ${date}, ${source}`)),
    pc.dim(`${assumptionsText()} --json has all assumptions.`),
    pc.dim(
      "Not included: taxes, Stripe's fees, SES, log queries, free tiers, more customers than expected, and the workers that " +
        "RunPod adds above workersMax for a short time. RunPod's discount for workersMin is not included either.",
    ),
  ];
  return parts.join("\n");
}

function billTable(lines: Line[], totals: ByCase<number>): string {
  const rows = lines.map(({ group, item, basis, usd }) => {
    return [group, item, basis, ...cases.map((of) => dollars(usd[of]))];
  });
  const sums = ["", pc.bold("total"), "", ...cases.map((of) => pc.bold(dollars(totals[of])))];
  return plainTable([...rows, sums], ["", "item", "counted", ...cases]);
}

function settingsTable({ expected, worst }: CostReport["settings"]): string {
  const rows = Object.entries({ expected, worst }).flatMap(([of, effects]) =>
    effects.map(({ path, from, to, usd }) => {
      const change = `${JSON.stringify(from)} → ${JSON.stringify(to)}`;
      return [of, path, change, ...cases.map((each) => signed(usd[each]))];
    }),
  );
  return plainTable(rows, ["moves most", "setting", "change", ...cases]);
}

/** A table with three columns of text and one column of dollars for each case. */
function plainTable(rows: string[][], head: string[]): string {
  return fittedTable(rows, {
    head,
    colAligns: ["left", "left", "left", "right", "right", "right"],
    chars: withoutLines,
  });
}

function assumptionsText(): string {
  const { planShare, chatsPerVisit, secondsPerStart, secondsPerReply, apiSecondsPerCall } = assumptions;
  const shares = Object.entries(planShare).map(([plan, share]) => `${share * 100} % ${plan}`);
  return (
    `Assumed: ${shares.join(", ")}; ${chatsPerVisit} chats in a visit; a worker starts in ${secondsPerStart} s and replies ` +
    `in ${secondsPerReply} s; a call of the API takes ${apiSecondsPerCall} s, also in the worst case.`
  );
}

function rounded({ low, expected, worst }: ByCase<number>): ByCase<number> {
  const cents = (usd: number) => Math.round(usd * 100) / 100;
  return { low: cents(low), expected: cents(expected), worst: cents(worst) };
}

function dollars(usd: number): string {
  return usd.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
}

function signed(usd: number): string {
  return `${usd > 0 ? "+" : ""}${dollars(usd)}`;
}
