import { describe, expect, it } from "vitest";
import { parseRule } from "../../../../local/aws/cloudwatch/alarmRule";
import { type AlarmState, evaluate } from "../../../../local/aws/cloudwatch/alarmState";

// Source: the tables of "Configuring how CloudWatch alarms treat missing data". `0` is a datapoint within the
// threshold, `X` a breaching datapoint, and `-` a missing datapoint.
const points = (text: string) => text.split(" ").map((point) => (point === "-" ? undefined : point === "X"));
const treatments = ["missing", "ignore", "breaching", "notBreaching"] as const;
const [OK, ALARM, NONE, KEEP]: (AlarmState | undefined)[] = ["OK", "ALARM", "INSUFFICIENT_DATA", undefined];

describe("An alarm with 3 of 3 datapoints", () => {
  it.each([
    ["0 - X - X", OK, OK, OK, OK],
    ["- - - - 0", OK, OK, OK, OK],
    ["- - - - -", NONE, KEEP, ALARM, OK],
    ["0 X X - X", ALARM, ALARM, ALARM, ALARM],
    ["- - X - -", ALARM, KEEP, ALARM, OK],
  ])("has the documented states for the datapoints %s", (range, ...states) => {
    const found = treatments.map((treatMissingData) =>
      evaluate(points(range), { evaluationPeriods: 3, datapointsToAlarm: 3, treatMissingData }),
    );
    expect(found).toEqual(states);
  });
});

describe("An alarm with 2 of 3 datapoints", () => {
  it.each([
    ["0 - X - X", ALARM, ALARM, ALARM, ALARM],
    ["0 0 X 0 X", ALARM, ALARM, ALARM, ALARM],
    ["0 - X - -", OK, OK, ALARM, OK],
    ["- - - - 0", OK, OK, ALARM, OK],
    ["- - - X -", ALARM, KEEP, ALARM, OK],
  ])("has the documented states for the datapoints %s", (range, ...states) => {
    const found = treatments.map((treatMissingData) =>
      evaluate(points(range), { evaluationPeriods: 3, datapointsToAlarm: 2, treatMissingData }),
    );
    expect(found).toEqual(states);
  });
});

describe("The rule of a composite alarm", () => {
  const states: Record<string, AlarmState> = { a: "ALARM", b: "OK", "c d": "ALARM" };
  const holds = (rule: string) => parseRule(rule)((alarm) => states[alarm] ?? "INSUFFICIENT_DATA");

  it.each([
    ['ALARM("a")', true],
    ["ALARM(a) AND ALARM(b)", false],
    ["ALARM(b) AND ALARM(b) OR ALARM(a)", true],
    ["ALARM(b) AND (ALARM(b) OR ALARM(a))", false],
    ['NOT OK(b) OR ALARM("c d")', true],
    ["INSUFFICIENT_DATA(unknown)", true],
    ["NOT TRUE OR FALSE", false],
  ])("%s evaluates to %s", (rule, expected) => {
    expect(holds(rule)).toBe(expected);
  });

  it.each(["", "ALARM(a) AND", "ALARM(a", "ALARM(a) ALARM(b)", "(ALARM(a)", "alarm(a)"])("rejects %j", (rule) => {
    expect(() => parseRule(rule)).toThrow("Not a rule of a composite alarm");
  });
});
