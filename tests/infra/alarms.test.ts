import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { alarmCodes } from "../../functions/core/alarmCodes";
import { dimensionOf, dimensionValues, isDetail, type MetricName, metrics } from "../../functions/core/metrics";
import { alarmDescription, compositeAlarms, metricAlarms, runbookAnchor } from "../../infra/alarms";
import { rounds } from "../../verify/drill/faults";
import { withAlarms } from "../../verify/reference/alarms";

const alarms = metricAlarms({ hourlyUsd: 5 });
const all = [...alarms, ...compositeAlarms];
const runbook = readFileSync("docs/operations.md", "utf8");

/** Number of metrics that CloudWatch bills when every value of every dimension occurs. */
function billed(names: MetricName[]): number {
  const own = names.map((name) => {
    const dimension = dimensionOf(name);
    return dimension ? dimensionValues[dimension].length : 1;
  });
  return own.reduce((sum, count) => sum + count, Object.keys(alarmCodes).length);
}

describe("The custom metrics of a stack", () => {
  const names = Object.keys(metrics) as MetricName[];

  it("are at most 60, and fewer in a dev stack", () => {
    expect(billed(names)).toBeLessThanOrEqual(60);
    const few = billed(names.filter((name) => !isDetail(name)));
    expect(few).toBeLessThan(billed(names));
  });

  it("include no detail that an alarm reads, because a dev stack does not publish details", () => {
    const read = alarms.flatMap(({ metric }) => (metric.of === "stack" ? metric.name : []));
    expect(read.filter(isDetail)).toEqual([]);
  });

  it("have the dimension that their alarms name", () => {
    for (const { name, metric } of alarms) {
      if (metric.of === "stack") expect(metric.model !== undefined, name).toBe(dimensionOf(metric.name) === "model");
    }
  });
});

describe("Each alarm", () => {
  it("has a name of its own", () => {
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
  });

  it("has a section in the runbook, which its message names", () => {
    const headings = [...runbook.matchAll(/^### (.+)$/gm)].map(([, heading = ""]) => heading);
    expect(headings.sort()).toEqual(all.map(({ name }) => name).sort());
    for (const alarm of all) {
      const text = alarmDescription(alarm, "prod", false);
      expect(text).toContain(runbookAnchor(alarm.name));
      expect(text).toContain(alarm.means);
      expect(text).toMatch(/First: \S/);
      expect(text).not.toContain("<stack>");
      // CloudWatch's limit.
      expect(text.length).toBeLessThan(1_024);
    }
  });

  it("says why periods without data count as they do", () => {
    for (const { missing } of alarms) expect(missing.because.length).toBeGreaterThan(20);
  });

  it("has a fault in the drill", () => {
    const fired = new Set(rounds.flat().flatMap(({ fires }) => fires));
    expect(all.map(({ name }) => name).filter((name) => !fired.has(name))).toEqual([]);
  });
});

it("the alarms of the runbook are up to date (run npm run docs:generate)", () => {
  expect(withAlarms(runbook)).toBe(runbook);
});

it("withAlarms rejects a page without the place for the alarms", () => {
  expect(() => withAlarms("# Operations\n")).toThrow("docs/operations.md must have the lines");
});
