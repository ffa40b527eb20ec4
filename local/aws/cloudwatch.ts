import { z } from "zod";
import type { ResourceType } from "./support/resource";
import { text } from "./support/values";

const COMPARISONS = [
  "GreaterThanOrEqualToThreshold",
  "GreaterThanThreshold",
  "LessThanThreshold",
  "LessThanOrEqualToThreshold",
] as const;

/** aws:cloudwatch/metricAlarm:MetricAlarm. The local cloud has no metrics, so an alarm is stored and never fires. */
export const metricAlarm: ResourceType = {
  type: "aws:cloudwatch/metricAlarm:MetricAlarm",
  isTaggable: true,
  inputs: z.looseObject({
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
    statistic: z.enum(["SampleCount", "Average", "Sum", "Minimum", "Maximum"]).optional(),
    threshold: z.number().optional(),
    treatMissingData: z.enum(["missing", "ignore", "breaching", "notBreaching"]).optional(),
  }),
  replaceOn: ["name"],
  autoName: "name",
  id: (inputs) => text(inputs, "name"),
  defaults: { actionsEnabled: true, treatMissingData: "missing", datapointsToAlarm: 0 },
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
