import { mkdirSync, readFileSync, rmSync } from "node:fs";
import type { Counts } from "./steps";

const reports = ".build/reports";

export const vitestReport = `${reports}/vitest.json`;
/** Report of the tests of a Python package. */
export const pytestReport = (name: string): string => `${reports}/pytest-${name}.xml`;
/** Folder in which the local clouds of all steps record the AWS calls of the functions. */
export const callsReport = `${reports}/aws-calls`;

/**
 * Deletes the reports of the previous run. Otherwise a run that crashes would report the success of the previous run.
 */
export function clearReports(): void {
  rmSync(reports, { recursive: true, force: true });
  mkdirSync(reports, { recursive: true });
}

interface VitestReport {
  testResults: {
    name: string;
    status: string;
    assertionResults: { fullName: string; status: string; meta?: { skipReason?: string } }[];
  }[];
}

/** @param words counts only the tests whose names contain all of these words */
export function countVitest(words: string[] = []): Counts {
  const { testResults } = JSON.parse(readFileSync(vitestReport, "utf8")) as VitestReport;
  const tests = testResults
    .flatMap(({ assertionResults }) => assertionResults)
    .filter(({ fullName }) => words.every((word) => fullName.toLowerCase().includes(word.toLowerCase())));
  const of = (...statuses: string[]) => tests.filter(({ status }) => statuses.includes(status));
  const skipped = of("skipped", "pending", "todo", "disabled");
  const reasons = Map.groupBy(skipped, ({ meta }) => meta?.skipReason ?? "no reason given");
  // A file that fails to load has no tests.
  const broken = testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0);
  return {
    passed: of("passed").length,
    failed: of("failed").length + broken.length,
    skipped: skipped.length,
    skipReasons: [...reasons].map(([reason, group]) => `${plural(group.length)}: ${reason}`),
  };
}

/** @param report file that pytest has written */
export function countPytest(report: string): Counts {
  const xml = readFileSync(report, "utf8");
  const [suite = ""] = /<testsuite [^>]*>/.exec(xml) ?? [];
  const read = (name: string) => Number(new RegExp(` ${name}="(\\d+)"`).exec(suite)?.[1] ?? 0);
  const failed = read("failures") + read("errors");
  const skipped = read("skipped");
  const reasons = [...xml.matchAll(/<skipped [^>]*message="([^"]*)"/g)].map(([, message]) => message ?? "");
  return {
    passed: read("tests") - failed - skipped,
    failed,
    skipped,
    skipReasons: [...Map.groupBy(reasons, (reason) => reason)].map(
      ([reason, group]) => `${plural(group.length)}: ${reason}`,
    ),
  };
}

function plural(count: number): string {
  return count === 1 ? "1 test" : `${count} tests`;
}
