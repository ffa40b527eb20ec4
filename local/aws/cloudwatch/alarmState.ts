/** State of an alarm. */
export type AlarmState = "OK" | "ALARM" | "INSUFFICIENT_DATA";

/** Whether the datapoint of a period breaches the threshold. Undefined when the period has no data. */
export type Datapoint = boolean | undefined;

/** Settings of an evaluation. */
export interface Evaluation {
  evaluationPeriods: number;
  datapointsToAlarm: number;
  treatMissingData: "missing" | "ignore" | "breaching" | "notBreaching";
}

/**
 * Periods that CloudWatch reads beyond the evaluation periods. CloudWatch does not document the number; its examples
 * read five datapoints for three evaluation periods.
 */
export const EXTRA_PERIODS = 2;

/**
 * Computes the state of a metric alarm, as CloudWatch does. Real datapoints of the whole range count first. Missing
 * datapoints are filled only when there are fewer real datapoints than evaluation periods.
 *
 * Source, with the tables that the tests repeat: "Configuring how CloudWatch alarms treat missing data",
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
 *
 * @param range datapoints of the evaluation periods and of `EXTRA_PERIODS` before them, oldest first
 * @returns undefined when the alarm keeps its present state
 */
export function evaluate(range: readonly Datapoint[], settings: Evaluation): AlarmState | undefined {
  const { evaluationPeriods, datapointsToAlarm, treatMissingData } = settings;
  const real = range.filter((point) => point !== undefined);
  if (real.length >= evaluationPeriods) {
    return stateOf(count(real.slice(-evaluationPeriods), true), datapointsToAlarm);
  }
  const missing = evaluationPeriods - real.length;
  const breaching = count(real, true);
  switch (treatMissingData) {
    case "breaching":
      return stateOf(breaching + missing, datapointsToAlarm);
    case "notBreaching":
      return stateOf(breaching, datapointsToAlarm);
    case "ignore":
      return breaching >= datapointsToAlarm ? "ALARM" : real.includes(false) ? "OK" : undefined;
    case "missing":
      if (real.length === 0) return "INSUFFICIENT_DATA";
      return isPremature(range, datapointsToAlarm) ? "ALARM" : stateOf(breaching, datapointsToAlarm);
  }
}

/**
 * Whether an alarm fires with fewer datapoints. It fires when the oldest breaching datapoint is at least
 * `datapointsToAlarm` periods old, and all other datapoints breach or are missing. Source: "Avoiding premature
 * transitions to alarm state" on the page of `evaluate`.
 */
function isPremature(range: readonly Datapoint[], datapointsToAlarm: number): boolean {
  const oldest = range.indexOf(true);
  return oldest !== -1 && range.length - oldest >= datapointsToAlarm && !range.includes(false);
}

function stateOf(breaching: number, datapointsToAlarm: number): AlarmState {
  return breaching >= datapointsToAlarm ? "ALARM" : "OK";
}

function count(points: readonly Datapoint[], value: boolean): number {
  return points.filter((point) => point === value).length;
}
