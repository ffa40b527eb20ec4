import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { ResourceType } from "../support/resource";
import { text } from "../support/values";
import { parseRule } from "./alarmRule";
import { parsePattern } from "./filterPattern";

const COMPARISONS = [
  "GreaterThanOrEqualToThreshold",
  "GreaterThanThreshold",
  "LessThanThreshold",
  "LessThanOrEqualToThreshold",
] as const;

const STATISTICS = ["SampleCount", "Average", "Sum", "Minimum", "Maximum"] as const;
const MISSING_DATA = ["missing", "ignore", "breaching", "notBreaching"] as const;

const topic = z
  .string()
  .regex(/^arn:[\w-]+:sns:/, "must be the ARN of an SNS topic: the local cloud supports no other action");
const actions = z.array(topic).max(5, "must have at most 5 actions").optional();

/** Limit of PutMetricAlarm: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html */
function isWithinLimit({ period = 60, evaluationPeriods }: { period?: number | undefined; evaluationPeriods: number }) {
  return period * evaluationPeriods <= (period >= 3_600 ? 7 : 1) * 86_400;
}

/** aws:cloudwatch/metricAlarm:MetricAlarm. `CloudWatch` evaluates it. */
export const metricAlarm: ResourceType = {
  type: "aws:cloudwatch/metricAlarm:MetricAlarm",
  isTaggable: true,
  inputs: z
    .looseObject({
      name: z.string().min(1).max(255).optional(),
      comparisonOperator: z.enum(COMPARISONS),
      evaluationPeriods: z.int().min(1),
      metricName: z.string().min(1).optional(),
      namespace: z.string().min(1).optional(),
      period: z
        .int()
        .refine(
          (seconds) => [10, 20, 30].includes(seconds) || seconds % 60 === 0,
          "must be 10, 20, 30 or a multiple of 60",
        )
        .optional(),
      statistic: z.enum(STATISTICS).optional(),
      datapointsToAlarm: z.int().min(1).optional(),
      threshold: z.number().optional(),
      treatMissingData: z.enum(MISSING_DATA).optional(),
      dimensions: z.record(z.string(), z.string().min(1)).optional(),
      alarmDescription: z.string().max(1_024).optional(),
      alarmActions: actions,
      okActions: actions,
      insufficientDataActions: actions,
      metricQueries: z.undefined("is not supported by the local cloud: use one metric per alarm").optional(),
      extendedStatistic: z.undefined("is not supported by the local cloud").optional(),
    })
    .refine(isWithinLimit, {
      path: ["evaluationPeriods"],
      error: "multiplied by period must be at most one day, or at most seven days when period is an hour or longer",
    })
    .refine((alarm) => (alarm.datapointsToAlarm ?? 1) <= alarm.evaluationPeriods, {
      path: ["datapointsToAlarm"],
      error: "must be at most evaluationPeriods",
    }),
  replaceOn: ["name"],
  autoName: "name",
  id: (inputs) => text(inputs, "name"),
  defaults: { actionsEnabled: true, treatMissingData: "missing" },
  computed: { arn: ({ id, account }) => account.arn("cloudwatch", `alarm:${id}`) },
};

/** Retention periods that CloudWatch Logs allows; 0 means that logs never expire. */
const RETENTION_DAYS = [
  0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
] as const;

/** aws:cloudwatch/logGroup:LogGroup. */
export const logGroup: ResourceType = {
  type: "aws:cloudwatch/logGroup:LogGroup",
  isTaggable: true,
  inputs: z.looseObject({
    name: z
      .string()
      .regex(/^[\w./#-]{1,512}$/, "must have 1 to 512 characters: letters, digits and _-/.#")
      .optional(),
    retentionInDays: z.literal(RETENTION_DAYS).optional(),
  }),
  replaceOn: ["name", "namePrefix", "logGroupClass"],
  autoName: "name",
  id: (inputs) => text(inputs, "name"),
  conflict: "ResourceAlreadyExistsException",
  defaults: { retentionInDays: 0, skipDestroy: false, logGroupClass: "STANDARD" },
  computed: { arn: ({ id, account }) => account.arn("logs", `log-group:${id}`) },
};

/** aws:cloudwatch/compositeAlarm:CompositeAlarm. */
export const compositeAlarm: ResourceType = {
  type: "aws:cloudwatch/compositeAlarm:CompositeAlarm",
  isTaggable: true,
  inputs: z.looseObject({
    alarmName: z.string().min(1).max(255),
    alarmRule: z.string().max(10_240).refine(parses(parseRule), 'must be a rule such as ALARM("a") AND NOT OK("b")'),
    alarmDescription: z.string().max(1_024).optional(),
    alarmActions: actions,
    okActions: actions,
  }),
  replaceOn: ["alarmName"],
  id: (inputs) => text(inputs, "alarmName"),
  defaults: { actionsEnabled: true },
  computed: { arn: ({ id, account }) => account.arn("cloudwatch", `alarm:${id}`) },
};

/** aws:cloudwatch/dashboard:Dashboard. */
export const dashboard: ResourceType = {
  type: "aws:cloudwatch/dashboard:Dashboard",
  inputs: z.looseObject({
    dashboardName: z.string().regex(/^[\w-]{1,255}$/, "must have 1 to 255 characters: letters, digits, _ and -"),
    dashboardBody: z.string().transform(json).pipe(dashboardBody()),
  }),
  replaceOn: ["dashboardName"],
  id: (inputs) => text(inputs, "dashboardName"),
  computed: {
    dashboardArn: ({ id, account }) => `arn:${account.partition}:cloudwatch::${account.accountId}:dashboard/${id}`,
  },
};

/** Structure of a dashboard: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html */
function dashboardBody() {
  const line = z.tuple([z.string(), z.string()], z.union([z.string(), z.looseObject({ stat: z.string().optional() })]));
  const place = {
    x: z.int().min(0).max(23),
    y: z.int().min(0),
    width: z.int().min(1).max(24),
    height: z.int().min(1).max(1_000),
  };
  return z.looseObject({
    widgets: z.array(
      z.discriminatedUnion("type", [
        z.looseObject({ type: z.literal("text"), ...place, properties: z.looseObject({ markdown: z.string() }) }),
        z.looseObject({
          type: z.literal("metric"),
          ...place,
          properties: z.looseObject({ region: z.string(), metrics: z.array(line).min(1, "must show a metric") }),
        }),
      ]),
    ),
  });
}

/** aws:cloudwatch/queryDefinition:QueryDefinition, a saved query of CloudWatch Logs Insights. */
export const queryDefinition: ResourceType = {
  type: "aws:cloudwatch/queryDefinition:QueryDefinition",
  inputs: z.looseObject({
    name: z.string().regex(/^[^:*?"<>|\\]{1,255}$/, 'must have 1 to 255 characters without : * ? " < > |'),
    queryString: z
      .string()
      .min(1)
      .max(10_000)
      .refine((query) => query.split("|").every((command) => QUERY_COMMAND.test(command)), "has an unknown command"),
    logGroupNames: z.array(z.string()).max(50).optional(),
  }),
  replaceOn: [],
  id: () => randomUUID(),
  computed: { queryDefinitionId: ({ id }) => id },
};

/** Commands of a query: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html */
const QUERY_COMMAND = /^\s*(fields|filter|sort|limit|stats|parse|display|dedup)\s+\S/;

/** aws:cloudwatch/logMetricFilter:LogMetricFilter. `CloudWatch` applies it to the lines of its log group. */
export const logMetricFilter: ResourceType = {
  type: "aws:cloudwatch/logMetricFilter:LogMetricFilter",
  inputs: z.looseObject({
    name: z
      .string()
      .regex(/^[^:*]{1,512}$/, "must have 1 to 512 characters without : and *")
      .optional(),
    logGroupName: z.string(),
    pattern: z
      .string()
      .max(1_024)
      .refine(parses(parsePattern), 'must be { $.member = "text" }: the local cloud supports no other pattern'),
    metricTransformation: z
      .looseObject({
        name: z.string().min(1),
        namespace: z.string().min(1),
        value: z.string().min(1),
        defaultValue: z.string().optional(),
        dimensions: z
          .record(z.string(), z.string().startsWith("$.", "must be a member of the log line"))
          .refine((dimensions) => Object.keys(dimensions).length <= 3, "must have at most 3 dimensions")
          .optional(),
      })
      .refine(({ defaultValue, dimensions }) => defaultValue === undefined || dimensions === undefined, {
        path: ["defaultValue"],
        error: "is not allowed together with dimensions",
      }),
  }),
  replaceOn: ["name", "logGroupName"],
  autoName: "name",
  id: (inputs) => text(inputs, "name"),
  scope: (inputs) => text(inputs, "logGroupName"),
  computed: {},
};

function json(value: string, context: z.RefinementCtx): unknown {
  try {
    return JSON.parse(value);
  } catch {
    context.addIssue("must be JSON");
    return z.NEVER;
  }
}

function parses(parse: (value: string) => unknown): (value: string) => boolean {
  return (value) => {
    try {
      parse(value);
      return true;
    } catch {
      return false;
    }
  };
}
