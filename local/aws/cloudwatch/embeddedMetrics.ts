import { z } from "zod";
import { isObject } from "../../support/protocol/value";
import type { MetricId } from "./metricStore";

/** One value of a metric. */
export interface MetricValue {
  id: MetricId;
  value: number;
  atMs: number;
}

/** Limits of the format: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html */
const Directive = z.object({
  Namespace: z.string().min(1).max(1_024),
  Dimensions: z.array(z.array(z.string()).max(30)).min(1),
  Metrics: z.array(z.object({ Name: z.string().min(1).max(1_024), Unit: z.string().optional() })).max(100),
});
const Metadata = z.object({ Timestamp: z.int(), CloudWatchMetrics: z.array(Directive) });

/**
 * Reads the metrics of a log line in the embedded metric format. A line that does not follow the format has no metrics, as
 * in CloudWatch, which reports no error.
 */
export function embeddedMetrics(line: unknown): MetricValue[] {
  if (!isObject(line)) return [];
  const { success, data } = Metadata.safeParse(line._aws);
  if (!success) return [];
  return data.CloudWatchMetrics.flatMap(({ Namespace: namespace, Dimensions, Metrics }) =>
    Dimensions.flatMap((names) => {
      const dimensions = Object.fromEntries(names.map((name) => [name, line[name]]));
      const areTexts = Object.values(dimensions).every((value) => typeof value === "string" && value !== "");
      if (!areTexts) return [];
      return Metrics.flatMap(({ Name: name }) => {
        const values = [line[name]].flat().filter((value) => typeof value === "number");
        const id: MetricId = { namespace, name, dimensions: dimensions as Record<string, string> };
        return values.map((value) => ({ id, value, atMs: data.Timestamp }));
      });
    }),
  );
}
