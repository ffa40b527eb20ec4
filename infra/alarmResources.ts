import * as pulumi from "@pulumi/pulumi";
import { stackNames } from "../names";
import {
  type AlarmMetric,
  alarmDescription,
  type CompositeAlarm,
  compositeAlarms,
  type MetricAlarm,
  metricAlarms,
} from "./alarms";
import * as aws from "./aws";
import type { FunctionName } from "./bundle";
import type { Config } from "./config";
import type { Lambda } from "./lambda";

/** The functions of a stack that have alarms and log queries. */
export type Functions = Partial<Record<FunctionName, Lambda<object>>>;

/** Receiver of the alarms' messages. */
export interface AlarmNotifications {
  topicArn: pulumi.Output<string>;
}

/** The resources whose metrics AWS publishes. */
export interface MetricSources {
  functions: Functions;
  apiId: pulumi.Output<string>;
  /** Undefined without the renewal of a registry token. */
  failedRuns: aws.sqs.Queue | undefined;
}

interface AlarmsArgs {
  config: Pick<Config, "stack" | "operations">;
  sources: MetricSources;
  notifications: AlarmNotifications;
}

const operators = {
  above: "GreaterThanThreshold",
  atLeast: "GreaterThanOrEqualToThreshold",
  below: "LessThanThreshold",
} as const;

/** Name of the metric that counts log lines with an alarm code, and of its dimension. */
export const CODE_METRIC = { name: "Alarms", dimension: "code" } as const;

/** Creates the metric filters of the alarm codes, and all alarms. */
export function createAlarms(
  { config, sources, notifications }: AlarmsArgs,
  child: pulumi.CustomResourceOptions,
): void {
  const { stack, operations } = config;
  createMetricFilters(stack, sources.functions, child);
  const names = new Map<string, pulumi.Output<string>>();
  for (const alarm of metricAlarms(operations)) {
    if (alarm.needsEcr && !sources.failedRuns) continue;
    const created = new aws.cloudwatch.MetricAlarm(
      alarm.name,
      {
        ...(!alarm.isPart && { alarmActions: [notifications.topicArn] }),
        ...(alarm.missing.as === "missing" && { insufficientDataActions: [notifications.topicArn] }),
        alarmDescription: alarmDescription(alarm, stack, false),
        ...metricOf(alarm.metric, stack, sources),
        ...evaluationOf(alarm),
      },
      // The registry was the first parent of its alarm.
      { ...child, ...(alarm.name === "registryRefresh" && { aliases: [{ parent: oldParent() }] }) },
    );
    names.set(alarm.name, created.name);
  }
  for (const alarm of compositeAlarms) createComposite(alarm, { stack, names, notifications }, child);
}

function oldParent(): pulumi.Output<string> {
  return pulumi.createUrn("registry", "snack:infra:Registry");
}

function evaluationOf(alarm: MetricAlarm) {
  return {
    statistic: alarm.statistic,
    period: alarm.periodSeconds,
    evaluationPeriods: alarm.periods,
    datapointsToAlarm: alarm.periods,
    comparisonOperator: operators[alarm.comparison],
    threshold: alarm.threshold,
    treatMissingData: alarm.missing.as,
  };
}

/** Namespace, name and dimensions of an alarm's metric at CloudWatch. */
function metricOf(metric: AlarmMetric, stack: string, { functions, apiId, failedRuns }: MetricSources) {
  const { metrics: namespace } = stackNames(stack);
  const functionName = (name: FunctionName) => required(functions[name], name).function.name;
  switch (metric.of) {
    case "stack":
      return { namespace, metricName: metric.name, dimensions: metric.model ? { model: metric.model } : {} };
    case "code":
      return { namespace, metricName: CODE_METRIC.name, dimensions: { [CODE_METRIC.dimension]: metric.code } };
    case "function":
      return {
        namespace: "AWS/Lambda",
        metricName: metric.name,
        dimensions: { FunctionName: functionName(metric.function) },
      };
    case "api":
      return { namespace: "AWS/ApiGateway", metricName: metric.name, dimensions: { ApiId: apiId } };
    case "failedRuns":
      return {
        namespace: "AWS/SQS",
        metricName: metric.name,
        dimensions: { QueueName: required(failedRuns, metric.of).name },
      };
  }
}

/** An alarm without its resource would never fire. */
function required<T>(resource: T | undefined, name: string): T {
  if (resource === undefined) throw new Error(`An alarm needs ${name}, which the stack does not have`);
  return resource;
}

/**
 * Counts the log lines with an alarm code: one filter per log group, and one metric per code that occurs. CloudWatch
 * creates a metric with the first line of its code, so that codes that never occur cost nothing.
 */
function createMetricFilters(stack: string, functions: Functions, child: pulumi.CustomResourceOptions): void {
  for (const [name, lambda] of Object.entries(functions)) {
    new aws.cloudwatch.LogMetricFilter(
      `${name}-alarms`,
      {
        logGroupName: lambda.log.name,
        // Lambda's JSON log format puts the logged object into `message`.
        pattern: '{ $.message.alarm = "*" }',
        metricTransformation: {
          namespace: stackNames(stack).metrics,
          name: CODE_METRIC.name,
          value: "1",
          unit: "Count",
          dimensions: { [CODE_METRIC.dimension]: "$.message.alarm" },
        },
      },
      child,
    );
  }
}

interface CompositeArgs {
  stack: string;
  /** CloudWatch's names of the alarms, by their logical names. */
  names: ReadonlyMap<string, pulumi.Output<string>>;
  notifications: AlarmNotifications;
}

function createComposite(
  alarm: CompositeAlarm,
  { stack, names, notifications }: CompositeArgs,
  child: pulumi.CustomResourceOptions,
): void {
  const inAlarm = (name: string) => pulumi.interpolate`ALARM("${required(names.get(name), `the alarm ${name}`)}")`;
  const all = (list: string[]) => pulumi.all(list.map(inAlarm)).apply((terms) => `(${terms.join(" AND ")})`);
  new aws.cloudwatch.CompositeAlarm(
    alarm.name,
    {
      alarmActions: [notifications.topicArn],
      // Only alarms that page send a message when they recover. CloudWatch also sends this message for a new alarm, so
      // with this action on every alarm, a new stack would send about fifty messages.
      okActions: [notifications.topicArn],
      alarmName: `${stackNames(stack).prefix}-${alarm.name}`,
      alarmDescription: alarmDescription(alarm, stack, true),
      alarmRule: pulumi.all(alarm.anyOf.map(all)).apply((terms) => terms.join(" OR ")),
    },
    child,
  );
}
