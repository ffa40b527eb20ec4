import { type Dimension, type MetricName, metrics } from "../core/metrics";

/** Environment variable with the namespace of the stack's metrics. Without it, no metric is published. */
export const METRICS_NAMESPACE = "METRICS_NAMESPACE";

/**
 * Publishes metrics as one log line in CloudWatch's embedded metric format
 * (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
 * CloudWatch Logs turns the line into metrics, so this needs neither a call nor a permission. AWS Powertools writes the
 * same line, but its import makes the start of a function too slow: see docs/decisions/own-metrics.md.
 *
 * @param values all metrics must have the given dimension
 */
export function putMetrics(
  values: Partial<Record<MetricName, number>>,
  dimension: Partial<Record<Dimension, string>> = {},
): void {
  const namespace = process.env[METRICS_NAMESPACE];
  if (!namespace) return;
  const names = Object.keys(values) as MetricName[];
  const Metrics = names.map((Name) => ({ Name, Unit: metrics[Name].unit }));
  const CloudWatchMetrics = [{ Namespace: namespace, Dimensions: [Object.keys(dimension)], Metrics }];
  const line = { _aws: { Timestamp: Date.now(), CloudWatchMetrics }, ...dimension, ...values };
  // Not console.log: Lambda's JSON log format would wrap the line in another JSON object.
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
