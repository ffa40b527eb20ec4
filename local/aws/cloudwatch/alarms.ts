import { z } from "zod";
import type { ResourceType } from "../support/resource";
import { text } from "../support/values";

const COMPARISONS = [
  "GreaterThanOrEqualToThreshold",
  "GreaterThanThreshold",
  "LessThanThreshold",
  "LessThanOrEqualToThreshold",
] as const;

/** aws:cloudwatch/metricAlarm:MetricAlarm. It is kept, not watched: the local cloud has no metrics. */
export const metricAlarm: ResourceType = {
  type: "aws:cloudwatch/metricAlarm:MetricAlarm",
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
