import { z } from "zod";
import type { Events } from "../../support/events";
import type { AwsAccount, AwsResource } from "../support/account";
import type { Effects } from "../support/resource";
import type { Timers } from "../support/timers";
import { texts } from "../support/values";
import { parseRule } from "./alarmRule";
import { type AlarmState, type Datapoint, EXTRA_PERIODS, evaluate } from "./alarmState";
import { embeddedMetrics } from "./embeddedMetrics";
import { parsePattern, select } from "./filterPattern";
import { type MetricId, MetricStore, type Summary } from "./metricStore";
import { compositeAlarm, logMetricFilter, metricAlarm } from "./resources";

const MINUTE_MS = 60_000;
/** Number of newest lines that are kept for each log group. */
const MAX_LINES = 500;

/** One line of a log group. */
export interface LogLine {
  /** Milliseconds since the epoch. */
  atMs: number;
  text: string;
}

/** Metrics that the local services publish. */
export interface MetricSink {
  /** Adds a value of a metric, with the present time. */
  put(id: MetricId, value: number): void;
}

/** Dependencies of CloudWatch. */
export interface CloudWatchOptions {
  account: AwsAccount;
  events: Events;
  timers: Timers;
  publish(topicArn: string, message: { subject: string; message: string }): Promise<void>;
}

const Alarm = z.object({
  metricName: z.string(),
  namespace: z.string(),
  dimensions: z.record(z.string(), z.string()).optional(),
  statistic: z.enum(["SampleCount", "Average", "Sum", "Minimum", "Maximum"]),
  period: z.number(),
  evaluationPeriods: z.number(),
  datapointsToAlarm: z.number().optional(),
  comparisonOperator: z.string(),
  threshold: z.number(),
  treatMissingData: z.enum(["missing", "ignore", "breaching", "notBreaching"]),
});

const Transformation = z.object({
  name: z.string(),
  namespace: z.string(),
  value: z.string(),
  dimensions: z.record(z.string(), z.string()).optional(),
});

/**
 * CloudWatch: turns log lines into metrics, evaluates all alarms each minute, and sends their messages. Metrics and
 * states live in memory: after a restart every alarm is `INSUFFICIENT_DATA`.
 */
export class CloudWatch implements MetricSink {
  readonly metrics = new MetricStore();
  /** Forgets the state of an alarm that is created or deleted. A new alarm has no data yet. */
  readonly effects: Effects = {
    create: async ({ id }) => {
      this.forget(id);
      this.changes.set(id, this.options.timers.now());
      this.waitForNextMinute();
      return undefined;
    },
    update: async ({ id }) => {
      this.changes.set(id, this.options.timers.now());
      return undefined;
    },
    delete: async ({ id }) => void this.forget(id),
  };
  private readonly states = new Map<string, AlarmState>();
  /** Time of each alarm's last change, in milliseconds since the epoch. */
  private readonly changes = new Map<string, number>();
  private readonly startedAtMs: number;
  private readonly lines = new Map<string, LogLine[]>();
  private evaluation: Promise<void> = Promise.resolve();
  /** Ends the wait for the next evaluation. Undefined while there is no alarm. */
  private stop: (() => void) | undefined;

  constructor(private readonly options: CloudWatchOptions) {
    this.startedAtMs = options.timers.now();
    const hasAlarm = [metricAlarm, compositeAlarm].some(({ type }) => options.account.list(type).length > 0);
    if (hasAlarm) this.waitForNextMinute();
  }

  stateOf(alarm: string): AlarmState {
    return this.states.get(alarm) ?? "INSUFFICIENT_DATA";
  }

  /**
   * Time at which an alarm was created or changed, in milliseconds since the epoch. After a restart: the time of the
   * restart, because the alarm has no data again.
   */
  changedAtMs(alarm: string): number {
    return this.changes.get(alarm) ?? this.startedAtMs;
  }

  put(id: MetricId, value: number): void {
    this.metrics.put(id, value, this.options.timers.now());
  }

  /** Newest lines of a log group, in chronological order. */
  linesOf(group: string): readonly LogLine[] {
    return this.lines.get(group) ?? [];
  }

  /** Takes a line of a log group. Lines that are not JSON have no metrics and match no filter. */
  log(group: string, text: string): void {
    this.lines.set(group, [...this.linesOf(group), { atMs: this.options.timers.now(), text }].slice(-MAX_LINES));
    const line = parseLine(text);
    if (line === undefined) return;
    // The functions use the real clock, so their timestamps are converted to the time of `timers`.
    const aheadMs = this.options.timers.now() - Date.now();
    for (const { id, value, atMs } of embeddedMetrics(line)) this.metrics.put(id, value, atMs + aheadMs);
    for (const filter of this.options.account.list(logMetricFilter.type)) {
      if (filter.outputs.logGroupName === group) this.filter(filter, line);
    }
  }

  /** Resolves when the most recent evaluation has sent its messages. */
  settled(): Promise<void> {
    return this.evaluation;
  }

  /**
   * Evaluates all alarms with the data of the complete minutes. Sends the messages of the alarms whose state changes.
   */
  async evaluate(): Promise<void> {
    const { account } = this.options;
    const endMs = Math.floor(this.options.timers.now() / MINUTE_MS) * MINUTE_MS;
    for (const alarm of account.list(metricAlarm.type)) {
      const state = this.evaluateMetric(alarm, endMs);
      if (state !== undefined) await this.change(alarm, state);
    }
    for (const alarm of account.list(compositeAlarm.type)) {
      const holds = parseRule(String(alarm.outputs.alarmRule))((name) => this.stateOf(name));
      await this.change(alarm, holds ? "ALARM" : "OK");
    }
  }

  /** Ends the evaluations. */
  async close(): Promise<void> {
    this.stop?.();
  }

  private waitForNextMinute(): void {
    const { timers } = this.options;
    this.stop ??= timers.after(MINUTE_MS - (timers.now() % MINUTE_MS), () => {
      this.stop = undefined;
      this.waitForNextMinute();
      this.evaluation = this.evaluation.then(() => this.evaluate());
    });
  }

  private forget(alarm: string): void {
    this.states.delete(alarm);
    this.changes.delete(alarm);
  }

  private filter({ outputs }: AwsResource, line: unknown): void {
    if (!parsePattern(String(outputs.pattern))(line)) return;
    const { name, namespace, value, dimensions = {} } = Transformation.parse(outputs.metricTransformation);
    const found = Object.entries(dimensions).map(([dimension, selector]) => [dimension, select(line, selector)]);
    // CloudWatch publishes no metric when a line has no member for a dimension.
    if (found.some(([, text]) => typeof text !== "string")) return;
    this.put({ namespace, name, dimensions: Object.fromEntries(found) }, Number(value));
  }

  /** The periods of an alarm end at the time of the evaluation. So the periods of successive evaluations overlap. */
  private evaluateMetric({ outputs }: AwsResource, endMs: number): AlarmState | undefined {
    const alarm = Alarm.parse(outputs);
    const { namespace, metricName: name, dimensions, evaluationPeriods } = alarm;
    const periodMs = alarm.period * 1_000;
    const range = Array.from({ length: evaluationPeriods + EXTRA_PERIODS }, (_, index): Datapoint => {
      const fromMs = endMs - (evaluationPeriods + EXTRA_PERIODS - index) * periodMs;
      const summary = this.metrics.read({ namespace, name, dimensions }, fromMs, fromMs + periodMs);
      return summary && breaches(statisticOf(summary, alarm.statistic), alarm.comparisonOperator, alarm.threshold);
    });
    return evaluate(range, { ...alarm, datapointsToAlarm: alarm.datapointsToAlarm ?? evaluationPeriods });
  }

  private async change({ id, outputs }: AwsResource, state: AlarmState): Promise<void> {
    const before = this.stateOf(id);
    if (before === state) return;
    this.states.set(id, state);
    // The list of events shows only alarms that fire and alarms that end.
    if (before === "ALARM" || state === "ALARM")
      this.options.events.emit({ source: "cloudwatch", summary: `${id}: ${before} → ${state}` });
    const actions = {
      ALARM: outputs.alarmActions,
      OK: outputs.okActions,
      INSUFFICIENT_DATA: outputs.insufficientDataActions,
    };
    if (outputs.actionsEnabled === false) return;
    for (const topicArn of texts(actions[state])) {
      await this.options.publish(topicArn, this.message({ id, outputs }, before, state));
    }
  }

  /** Message of a state change, as CloudWatch sends it to SNS. */
  private message({ id, outputs }: Pick<AwsResource, "id" | "outputs">, before: AlarmState, state: AlarmState) {
    const { account } = this.options;
    const message = {
      AlarmName: id,
      AlarmDescription: outputs.alarmDescription ?? null,
      AWSAccountId: account.accountId,
      NewStateValue: state,
      NewStateReason: reasonOf(outputs),
      StateChangeTime: new Date(this.options.timers.now()).toISOString(),
      Region: account.region,
      AlarmArn: outputs.arn,
      OldStateValue: before,
      OKActions: texts(outputs.okActions),
      AlarmActions: texts(outputs.alarmActions),
      InsufficientDataActions: texts(outputs.insufficientDataActions),
    };
    return { subject: `${state}: "${id}" in ${account.region}`.slice(0, 100), message: JSON.stringify(message) };
  }
}

function reasonOf({ metricName, statistic, comparisonOperator, threshold, alarmRule }: AwsResource["outputs"]): string {
  return alarmRule === undefined
    ? `${statistic} of ${metricName} ${comparisonOperator} ${threshold}`
    : String(alarmRule);
}

function statisticOf({ count, sum, minimum, maximum }: Summary, statistic: z.infer<typeof Alarm>["statistic"]): number {
  return { SampleCount: count, Average: sum / count, Sum: sum, Minimum: minimum, Maximum: maximum }[statistic];
}

function breaches(value: number, operator: string, threshold: number): boolean {
  switch (operator) {
    case "GreaterThanThreshold":
      return value > threshold;
    case "GreaterThanOrEqualToThreshold":
      return value >= threshold;
    case "LessThanThreshold":
      return value < threshold;
    default:
      return value <= threshold;
  }
}

/** Parses a line of a log. Undefined when the line is not JSON. */
export function parseLine(text: string): unknown {
  if (!text.startsWith("{")) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
