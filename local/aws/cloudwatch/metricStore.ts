/** Values of one metric within a range of time. */
export interface Summary {
  count: number;
  sum: number;
  minimum: number;
  maximum: number;
}

/** Identity of a metric. */
export interface MetricId {
  namespace: string;
  name: string;
  dimensions?: Record<string, string> | undefined;
}

const MINUTE_MS = 60_000;
/** Longer than the evaluation range of any alarm. */
const KEEP_MS = 3 * 86_400_000;

/** Metrics of the local account: one summary per minute, as CloudWatch's standard resolution. */
export class MetricStore {
  private readonly metrics = new Map<string, Map<number, Summary>>();

  /** Adds a value. A metric exists with its first value. */
  put(id: MetricId, value: number, atMs: number): void {
    const key = keyOf(id);
    const minutes = this.metrics.get(key) ?? new Map<number, Summary>();
    this.metrics.set(key, minutes);
    const minute = Math.floor(atMs / MINUTE_MS);
    const before = minutes.get(minute);
    minutes.set(minute, merge(before, { count: 1, sum: value, minimum: value, maximum: value }));
    for (const old of minutes.keys()) {
      if ((minute - old) * MINUTE_MS <= KEEP_MS) break;
      minutes.delete(old);
    }
  }

  /** Summary of the values from `fromMs` until before `toMs`. Undefined when there is no value. */
  read(id: MetricId, fromMs: number, toMs: number): Summary | undefined {
    let summary: Summary | undefined;
    for (const [minute, values] of this.metrics.get(keyOf(id)) ?? []) {
      const at = minute * MINUTE_MS;
      if (at >= fromMs && at < toMs) summary = merge(summary, values);
    }
    return summary;
  }

  /** Every metric that has a value. */
  list(): MetricId[] {
    return [...this.metrics.keys()].map((key) => JSON.parse(key));
  }
}

function merge(one: Summary | undefined, other: Summary): Summary {
  if (one === undefined) return other;
  return {
    count: one.count + other.count,
    sum: one.sum + other.sum,
    minimum: Math.min(one.minimum, other.minimum),
    maximum: Math.max(one.maximum, other.maximum),
  };
}

/** Each set of dimensions is a separate metric. CloudWatch does not add up the metrics of one name. */
function keyOf({ namespace, name, dimensions = {} }: MetricId): string {
  const sorted = Object.fromEntries(Object.entries(dimensions).sort(([a], [b]) => (a < b ? -1 : 1)));
  return JSON.stringify({ namespace, name, dimensions: sorted });
}
