import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { models } from "../../contract/plan";
import { alarmCodes } from "../../functions/core/alarmCodes";
import { healthMetrics } from "../../functions/core/endpointState";
import { billedMetrics, dimensionOf, dimensionValues, isDetail } from "../../functions/core/metrics";
import { alarmDescription, compositeAlarms, metricAlarms, runbookAnchor } from "../../infra/alarms";
import { type Datapoint, EXTRA_PERIODS, evaluate } from "../../local/aws/cloudwatch/alarmState";
import { rounds } from "../../verify/drill/faults";
import { alarmMeanings } from "../../verify/reference/alarmMeanings";
import { withAlarms, withJapaneseAlarms } from "../../verify/reference/alarms";

const alarms = metricAlarms({ hourlyUsd: 5 });
const all = [...alarms, ...compositeAlarms];
const runbook = readFileSync("docs/operations.md", "utf8");

describe("The custom metrics of a stack", () => {
  it("are at most as many as the description of operations.metrics says, and fewer in a dev stack", () => {
    const [, most] =
      /at most (\d+)/.exec(
        readFileSync("docs/reference/configuration.md", "utf8").split("operations.metrics")[1] ?? "",
      ) ?? [];
    // CandidateShare has a value only while the model has a candidate.
    const ofCandidates = dimensionValues.model.length;
    expect(billedMetrics("all") - ofCandidates + Object.keys(alarmCodes).length).toBeLessThanOrEqual(Number(most));
    expect(most).toBe("60");
    expect(billedMetrics("few")).toBeLessThan(billedMetrics("all"));
  });

  it("are not read by an alarm when only a prod stack publishes them", () => {
    const read = alarms.flatMap(({ metric }) => (metric.of === "stack" ? metric.name : []));
    expect(read.filter(isDetail)).toEqual([]);
  });

  it("have the dimension that their alarms name", () => {
    for (const { name, metric } of alarms) {
      if (metric.of === "stack") expect(metric.model !== undefined, name).toBe(dimensionOf(metric.name) === "model");
    }
  });
});

describe("The alarm", () => {
  const alarm = (name: string) => alarms.find((each) => each.name === name);

  it("customers-cannot-chat also fires when Lambda refuses the relay or the session, or the API fails", () => {
    const [page] = compositeAlarms;
    expect(page?.anyOf).toEqual(expect.arrayContaining([["relay-throttled"], ["session-throttled"], ["api-5xx"]]));
  });

  it("runpod-unreadable ignores a single minute in which no endpoint could be read", () => {
    const { threshold, comparison, statistic } = alarm("runpod-unreadable") ?? {};
    expect({ statistic, comparison }).toEqual({ statistic: "Sum", comparison: "atLeast" });
    expect(threshold).toBeGreaterThan(models.length);
  });

  it.each([
    // `one` counts the failures of one failed run, `always` those of one hour or of one run with two retries.
    ["reconciler-errors", { one: 1, always: 4 }],
    ["poller-errors", { one: 1, always: 5 }],
    ["canary-errors", { one: 1, always: 15 }],
    ["registryRefresh", { one: 2, always: 3 }],
  ])("%s ignores one failed run when the next attempt succeeds, and fires when every run fails", (name, failures) => {
    const { metric, statistic, comparison, threshold = 0 } = alarm(name) ?? {};
    expect([metric?.of, statistic, comparison]).toEqual(["function", "Sum", "atLeast"]);
    expect(failures.one).toBeLessThan(threshold);
    expect(failures.always).toBeGreaterThanOrEqual(threshold);
  });

  it("keep-alive-failed ignores one failed attempt of each endpoint, and fires when one endpoint fails for half an hour", () => {
    // The poller tries every ten minutes.
    const { threshold = 0, periodSeconds = 0 } = alarm("keep-alive-failed") ?? {};
    expect(models.length).toBeLessThan(threshold);
    expect(periodSeconds / 600).toBeGreaterThanOrEqual(threshold);
  });

  it("webhook-lag fires for a single late event", () => {
    expect(alarm("webhook-lag")?.periods).toBe(1);
  });

  it("failed-runs counts only new events, so that an old event in the queue does not keep it firing", () => {
    expect(alarm("failed-runs")?.metric).toEqual({ of: "failedRuns", name: "NumberOfMessagesSent" });
  });

  it("of a scarce GPU fires only while jobs wait", () => {
    const workers = { idle: 0, initializing: 0, running: 0, throttled: 1, unhealthy: 0, ready: 0 };
    const scarcity = (inQueue: number) => healthMetrics({ jobs: { inQueue, failed: 0 }, workers }, 0).Scarcity;
    expect([scarcity(0), scarcity(1)]).toEqual([0, 1]);
    for (const model of models)
      expect(alarm(`${model}-scarcity`)?.metric).toEqual({ of: "stack", name: "Scarcity", model });
  });

  it("of a shrunk endpoint names the command that restores it", () => {
    for (const model of models) expect(alarm(`${model}-shrunk`)?.run).toBe("pulumi up --stack <stack>");
  });
});

describe("An alarm of a stack without data", () => {
  /** State of an alarm whose periods have these datapoints, the oldest first. */
  const stateOf = ({ periods, missing }: (typeof alarms)[number], points: Datapoint[]) =>
    evaluate(points, { evaluationPeriods: periods, datapointsToAlarm: periods, treatMissingData: missing.as });
  const range = ({ periods }: (typeof alarms)[number]) => Array.from({ length: periods + EXTRA_PERIODS });
  const empty = (each: (typeof alarms)[number]) => range(each).map((): Datapoint => undefined);

  it.each(alarms.map((each) => [each.name, each] as const))("%s does not fire in a new stack", (_name, each) => {
    expect(stateOf(each, empty(each))).toBe(each.missing.as === "missing" ? "INSUFFICIENT_DATA" : "OK");
  });

  it.each(alarms.filter(({ missing }) => missing.as === "missing").map((each) => [each.name, each] as const))(
    "%s is OK after its first value, and leaves that state when no value follows",
    (_name, each) => {
      const [, ...before] = empty(each);
      expect(stateOf(each, [...before, false])).toBe("OK");
      expect(stateOf(each, empty(each))).toBe("INSUFFICIENT_DATA");
    },
  );
});

it("registry-token-age sends no message when the poller stops, because poller-silent does", () => {
  const silent = alarms
    .filter(({ missing }) => missing.because.includes("poller"))
    .filter(({ missing }) => missing.as === "missing");
  expect(silent.map(({ name }) => name)).toEqual(["poller-silent"]);
  expect(alarms.find(({ name }) => name === "registry-token-age")?.missing.as).toBe("notBreaching");
});

describe("Each alarm", () => {
  it("has a name that no other alarm has", () => {
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
  });

  it("has a section in the runbook, which its message names", () => {
    const headings = [...runbook.matchAll(/^#### (.+)$/gm)].map(([, heading = ""]) => heading);
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

  it("has an explanation of how it treats missing data", () => {
    for (const { missing } of alarms) expect(missing.because.length).toBeGreaterThan(20);
  });

  it("has a fault in the drill that triggers it", () => {
    const fired = new Set(rounds.flat().flatMap(({ fires }) => fires));
    expect(all.map(({ name }) => name).filter((name) => !fired.has(name))).toEqual([]);
  });
});

it("the alarms of the runbook are up to date (run npm run docs:generate)", () => {
  expect(withAlarms(runbook)).toBe(runbook);
});

it("the alarms of the Japanese runbook are up to date, and each alarm has a meaning (run npm run docs:generate)", () => {
  const page = readFileSync("docs/operations.ja.md", "utf8");
  expect(withJapaneseAlarms(page)).toBe(page);
  expect(
    Object.keys(alarmMeanings).filter((name) => !all.some((alarm) => nameWithPlaceholder(alarm.name) === name)),
  ).toEqual([]);
});

/**
 * Replaces the model or the function in an alarm name by `<model>` or `<function>`, as in the table of Japanese
 * meanings.
 */
function nameWithPlaceholder(name: string): string {
  const model = models.find((each) => name.startsWith(`${each}-`));
  return model ? name.replace(model, "<model>") : name.replace(/^\w+-throttled$/, "<function>-throttled");
}

it("withAlarms rejects a page without the placeholder for the alarms", () => {
  expect(() => withAlarms("# Operations\n")).toThrow("docs/operations.md must have the lines");
});
