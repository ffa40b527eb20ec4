import { compositeAlarms, metricAlarms, runbookAnchor } from "../../infra/alarms";
import type { AlarmState } from "../../local/aws/cloudwatch/alarmState";
import { type Fault, type Round, rounds } from "./faults";
import type { Stage } from "./stage";

/** Result of one alarm. */
export interface AlarmResult {
  alarm: string;
  /** Minutes from the beginning of the fault until the alarm fired. Undefined: it did not fire. */
  firedAfterMinutes?: number;
  /** Minutes from the end of the fault to the state OK. Undefined: it did not recover. */
  recoveredAfterMinutes?: number;
  by: Fault["by"];
  /** Reason why the alarm is not proven. */
  problem?: string;
}

/** Result of the drill, `npm run drill -- --json`. */
export interface DrillResult {
  /** Number of alarms. */
  alarms: number;
  /** Number of alarms that are proven: they fired because of their fault, with the right message, and recovered. */
  fired: number;
  /** Number of alarms that recovered after the fault. */
  recovered: number;
  /** Alarms that did not fire or did not recover, with the reason. */
  missing: { alarm: string; problem: string }[];
  results: AlarmResult[];
}

/**
 * Longest time in which an alarm must fire. The slowest alarm, reconciler-errors, needs three failed runs of a function
 * that runs every 15 minutes.
 */
const FIRE_MINUTES = 75;
/**
 * Longest time in which an alarm must recover. CloudWatch may read three periods, and the longest period is six hours.
 */
const RECOVER_MINUTES = 19 * 60;
/** Time for the first data of every metric. */
const WARM_UP_MINUTES = 2;

/** Parts of an alarm's definition that the drill needs. */
interface Definition {
  sendsMessage: boolean;
  /** States in which the alarm fires. */
  fires: AlarmState[];
}

/** Definitions by alarm name. */
function definitions(hourlyUsd: number): Map<string, Definition> {
  return new Map([
    ...metricAlarms({ hourlyUsd }).map(({ name, isPart, missing }): [string, Definition] => [
      name,
      { sendsMessage: !isPart, fires: ["ALARM", ...(missing.as === "missing" ? ["INSUFFICIENT_DATA" as const] : [])] },
    ]),
    ...compositeAlarms.map(({ name }): [string, Definition] => [name, { sendsMessage: true, fires: ["ALARM"] }]),
  ]);
}

/** Options of a drill. */
export interface DrillOptions {
  /** Names of the alarms to check. Default: all. */
  only?: string[] | undefined;
  say: (line: string) => void;
}

/**
 * Causes the fault of every alarm in a local cloud, and checks that the alarm fires, that its message names its section
 * of the runbook, and that it recovers. Minutes are simulated.
 */
export async function runDrill(stage: Stage, { only, say }: DrillOptions): Promise<DrillResult> {
  const known = definitions(5);
  const unknown = only?.filter((name) => !known.has(name)) ?? [];
  if (unknown.length > 0) throw new Error(`--only: no alarm has the name ${unknown.join(", ")}`);
  const wanted = (name: string) => !only || only.includes(name);
  const expected = [...known.keys()].filter(wanted);
  for (let minute = 0; minute < WARM_UP_MINUTES; minute++) await stage.passMinute();
  const results: AlarmResult[] = [];
  for (const round of rounds) {
    const faults = round.filter(({ fires }) => fires.some(wanted));
    if (faults.length === 0) continue;
    say(`causing ${faults.flatMap(({ fires }) => fires).join(", ")}`);
    results.push(...(await runRound(stage, faults, known)));
  }
  return summary(expected, results);
}

/** Result of a drill of the expected alarms. An alarm with two faults must pass both. */
export function summary(expected: string[], results: AlarmResult[]): DrillResult {
  const byName = new Map<string, AlarmResult>();
  for (const result of results) if (!byName.get(result.alarm)?.problem) byName.set(result.alarm, result);
  const missing = expected.flatMap((alarm) => {
    const result = byName.get(alarm);
    const problem = result ? result.problem : "no fault of the drill causes it";
    return problem ? [{ alarm, problem }] : [];
  });
  const all = expected.flatMap((alarm) => byName.get(alarm) ?? []);
  return {
    alarms: expected.length,
    fired: all.filter(({ problem }) => !problem).length,
    recovered: all.filter(({ recoveredAfterMinutes }) => recoveredAfterMinutes !== undefined).length,
    missing,
    results: all,
  };
}

async function runRound(stage: Stage, faults: Round, known: ReadonlyMap<string, Definition>): Promise<AlarmResult[]> {
  const { aws } = stage.cloud;
  const results = faults.flatMap(({ fires, by }) => fires.map((alarm): AlarmResult => ({ alarm, by })));
  const stateOf = ({ alarm }: AlarmResult) => aws.cloudwatch.stateOf(alarmId(stage, alarm));
  const isFiring = (result: AlarmResult) => known.get(result.alarm)?.fires.includes(stateOf(result)) === true;
  for (const result of results) if (isFiring(result)) result.problem = "fired before its fault";
  const messagesBefore = aws.deliveries.length;

  const undo = [];
  for (const fault of faults) undo.push(await fault.start?.(stage));
  for (let minute = 1; minute <= FIRE_MINUTES; minute++) {
    for (const fault of faults) await fault.eachMinute?.(stage);
    await stage.passMinute();
    for (const result of results) if (isFiring(result)) result.firedAfterMinutes ??= minute;
    if (results.every(({ firedAfterMinutes }) => firedAfterMinutes !== undefined)) break;
  }
  for (const result of results) {
    const problem = problemOf(stage, result, known, messagesBefore);
    if (problem) result.problem ??= problem;
  }

  for (const end of undo.reverse()) await end?.();
  const open = () => results.filter((result) => result.firedAfterMinutes && !result.recoveredAfterMinutes);
  for (let minute = 1; minute <= RECOVER_MINUTES && open().length > 0; minute++) {
    await stage.passMinute();
    for (const result of open()) if (stateOf(result) === "OK") result.recoveredAfterMinutes = minute;
  }
  for (const result of open()) result.problem ??= `did not recover within ${RECOVER_MINUTES} minutes`;
  return results;
}

/** Reason why a fault has not proven its alarm. */
function problemOf(
  stage: Stage,
  { alarm, firedAfterMinutes }: AlarmResult,
  known: ReadonlyMap<string, Definition>,
  messagesBefore: number,
): string | undefined {
  if (firedAfterMinutes === undefined) return `did not fire within ${FIRE_MINUTES} minutes`;
  const { sendsMessage, fires } = known.get(alarm) ?? { sendsMessage: true, fires: [] };
  if (!sendsMessage) return undefined;
  const id = alarmId(stage, alarm);
  const sent = stage.cloud.aws.deliveries
    .slice(messagesBefore)
    .map(({ message }) => JSON.parse(message))
    .find(({ AlarmName, NewStateValue }) => AlarmName === id && fires.includes(NewStateValue));
  if (!sent) return "sent no message";
  const anchor = runbookAnchor(alarm);
  return String(sent.AlarmDescription).includes(anchor) ? undefined : `the message does not name ${anchor}`;
}

/** CloudWatch's name of an alarm. */
function alarmId(stage: Stage, alarm: string): string {
  const { prefix } = stage.names;
  const isIt = (id: string) => id.replace(/-[0-9a-f]{7}$/, "") === `${prefix}-${alarm}`;
  const all = ["aws:cloudwatch/metricAlarm:MetricAlarm", "aws:cloudwatch/compositeAlarm:CompositeAlarm"];
  const found = all.flatMap((type) => stage.resources(type)).find(({ id }) => isIt(id));
  if (!found) throw new Error(`The stack has no alarm ${alarm}`);
  return found.id;
}
