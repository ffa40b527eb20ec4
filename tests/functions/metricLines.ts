import { vi } from "vitest";
import { METRICS_NAMESPACE } from "../../functions/lib/metrics";

/** A line in CloudWatch's embedded metric format: its metrics and its dimension. */
export type MetricLine = Record<string, number | string>;

/** Records the metrics that functions publish from now on. `vi.restoreAllMocks` ends the recording. */
export function recordMetrics(): MetricLine[] {
  vi.stubEnv(METRICS_NAMESPACE, "Stage");
  const lines: MetricLine[] = [];
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    const { _aws, ...line } = JSON.parse(String(text));
    lines.push(line);
    return true;
  });
  return lines;
}

/** Values of one metric, in the order of their lines. */
export function valuesOf(lines: MetricLine[], name: string): (number | string)[] {
  return lines.flatMap((line) => line[name] ?? []);
}
