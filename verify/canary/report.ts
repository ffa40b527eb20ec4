import type { CanaryReport } from "./run";

/** Lines of the report for a terminal. */
export function canaryLines(report: CanaryReport): string[] {
  const choice = `${report.sharePercent.toFixed(2)}% of the users at a share of 5%`;
  return [
    `Choice: ${choice}, ${report.sticky ? "sticky" : "NOT sticky"}, ${report.monotone ? "monotone" : "NOT monotone"}`,
    `Healthy candidates: ${report.falseAlarms} false alarms in ${report.healthyRuns} runs`,
    ...report.faults.map(({ fault, minutes, reason }) => `${fault}: ${minutes ?? "no"} minutes. ${reason}`),
    `Too few replies: ${report.tooFewReplies}`,
  ];
}
