import { models, Plan } from "../../contract/plan";

/** Values of each dimension. A metric counts once for each value of its dimension. */
export const dimensionValues = {
  plan: Plan.options,
  /** Who answers a chat: the worker of a model, or an external LLM. */
  route: [...models, "vip"],
  model: models,
} as const;

/** Name of a dimension. */
export type Dimension = keyof typeof dimensionValues;

/** One metric of the stack. */
interface MetricDefinition {
  /** CloudWatch's name of the unit. */
  unit: "Count" | "Seconds" | "Milliseconds" | "Percent" | "None";
  /** The only dimension. CloudWatch bills each of its values as one metric. */
  by?: Dimension;
  /** Whether the poller publishes the metric only with `operations.metrics: all`. No alarm reads such a metric. */
  isDetail?: true;
}

/**
 * All metrics that the functions publish, in the namespace of the stack. CloudWatch bills each metric and month
 * (https://aws.amazon.com/cloudwatch/pricing), so a test limits their number.
 */
export const metrics = {
  /** Sessions that customers and guests have opened. */
  Sessions: { unit: "Count", by: "plan" },
  /** 1 for a chat that failed on our side, 0 for a reply: the average is the share of failures. No other chat counts. */
  ChatFailed: { unit: "None" },
  /** Time from the request to the first text. */
  FirstTextMs: { unit: "Milliseconds", by: "route" },
  /** Calls to models that failed: the relay asks again, or asks the next model. */
  RelayFallbacks: { unit: "Count" },
  PromptTokens: { unit: "Count" },
  CachedTokens: { unit: "Count" },
  ReplyTokens: { unit: "Count" },
  /** Time from the creation of a Stripe event to the end of its handling. */
  WebhookLagSeconds: { unit: "Seconds" },
  /** Requests to the webhook without a valid signature. */
  WebhookSignatureFailures: { unit: "Count" },
  /** Events that the reconciler handled because the webhook never did. */
  ReconcilerFixes: { unit: "Count" },
  QueueDepth: { unit: "Count", by: "model" },
  /** Jobs that failed since the last minute. */
  JobsFailed: { unit: "Count", by: "model" },
  WorkersRunning: { unit: "Count", by: "model", isDetail: true },
  WorkersIdle: { unit: "Count", by: "model", isDetail: true },
  WorkersInitializing: { unit: "Count", by: "model", isDetail: true },
  WorkersUnhealthy: { unit: "Count", by: "model" },
  /** 1 while workers crash and jobs wait. */
  CrashLoop: { unit: "None", by: "model" },
  /** 1 while jobs wait and the endpoint has no worker in any state. */
  NoCapacity: { unit: "None", by: "model" },
  /** 1 while jobs wait and a worker waits for a GPU. */
  Scarcity: { unit: "None", by: "model" },
  /** 1 while RunPod allows fewer workers than the program has configured. */
  EndpointShrunk: { unit: "None", by: "model" },
  /** Share of the workers that run the newest release. */
  RolloutPercent: { unit: "Percent", by: "model", isDetail: true },
  /** Largest cost of the endpoint's workers in one of the last two hours. */
  HourlyUsd: { unit: "None", by: "model" },
  /** Share of the customers that the model's candidate answers. No value without a candidate. */
  CandidateShare: { unit: "Percent", by: "model" },
  RegistryTokenAgeSeconds: { unit: "Seconds" },
} as const satisfies Record<string, MetricDefinition>;

/** Name of a metric. */
export type MetricName = keyof typeof metrics;

/** Whether a metric is published only with `operations.metrics: all`. */
export function isDetail(name: MetricName): boolean {
  return "isDetail" in metrics[name];
}

/** Dimension of a metric. Undefined when the metric has none. */
export function dimensionOf(name: MetricName): Dimension | undefined {
  const metric = metrics[name];
  return "by" in metric ? metric.by : undefined;
}

/**
 * Number of metrics that CloudWatch bills when every value of every dimension occurs, without those of the alarm codes.
 *
 * @param setting `operations.metrics` of the configuration
 */
export function billedMetrics(setting: "all" | "few"): number {
  const names = (Object.keys(metrics) as MetricName[]).filter((name) => setting === "all" || !isDetail(name));
  return names.reduce((sum, name) => {
    const dimension = dimensionOf(name);
    return sum + (dimension ? dimensionValues[dimension].length : 1);
  }, 0);
}
