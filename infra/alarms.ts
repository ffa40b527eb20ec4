import { type Model, models } from "../contract/plan";
import { type AlarmCode, alarmCodes } from "../functions/core/alarmCodes";
import type { MetricName } from "../functions/core/metrics";
import type { FunctionName } from "./bundle";

/** The metric of an alarm. */
export type AlarmMetric =
  /** A metric that our functions publish. `model` is its dimension. */
  | { of: "stack"; name: MetricName; model?: Model }
  /** Number of log lines with an alarm code. */
  | { of: "code"; code: AlarmCode }
  /** A metric of Lambda. */
  | { of: "function"; function: FunctionName; name: "Errors" | "Throttles" | "Url5xxCount" }
  /** Responses of the API with a status of 500 or above. */
  | { of: "api"; name: "5xx" }
  /** Events of failed runs that Lambda sent to the queue of the registry token's renewal. */
  | { of: "failedRuns"; name: "NumberOfMessagesSent" };

/** Section of the dashboard and of the runbook, in their order. */
export const alarmGroups = ["customers", "money", "api", "relay", "endpoints", "cost", "operations"] as const;
export type AlarmGroup = (typeof alarmGroups)[number];

/** Text of an alarm for the operator. */
interface AlarmText {
  /** Logical name of the alarm. It is also the anchor of the alarm's section in docs/operations.md. */
  name: string;
  group: AlarmGroup;
  /** Meaning for the operator. */
  means: string;
  /** First command to run. `<stack>` stands for the name of the stack. */
  run: string;
}

/** Alarm on one metric. */
export interface MetricAlarm extends AlarmText {
  metric: AlarmMetric;
  statistic: "Sum" | "Average" | "Maximum" | "SampleCount";
  periodSeconds: number;
  /** Number of latest periods, which must all breach. */
  periods: number;
  /** The alarm fires when the statistic is `above`, `atLeast` or `below` the threshold. */
  comparison: "above" | "atLeast" | "below";
  threshold: number;
  /**
   * Meaning of periods without data, and why. `notBreaching`: nothing happens. `missing`: the alarm changes to
   * INSUFFICIENT_DATA and sends its message. A new alarm has this state already, so it is silent until it has had data.
   */
  missing: { as: "notBreaching" | "missing"; because: string };
  /** Whether the alarm only takes part in a composite alarm and sends no message. */
  isPart?: true;
  /** Whether the alarm exists only with `registry.kind: ecr` and an image in private ECR. */
  needsEcr?: true;
}

/** Alarm on the states of other alarms. */
export interface CompositeAlarm extends AlarmText {
  /** Names of alarms: the composite alarm fires when all alarms of one list are in the state ALARM. */
  anyOf: string[][];
}

const doctor = "npm run doctor -- --stack <stack>";
const events = "npm run admin -- --stack <stack> events";
const MINUTE = 60;
const HOUR = 60 * MINUTE;

const quiet = { as: "notBreaching", because: "no data means that nothing happened" } as const;
const silent = { as: "missing", because: "no data means that the poller does not run" } as const;
/** The poller's own alarm covers a poller that does not run. One message is enough. */
const pollerAlarmed = {
  as: "notBreaching",
  because: "the alarm poller-silent covers a poller that does not run",
} as const;

/** At least one occurrence within five minutes. */
const once = { statistic: "Sum", periodSeconds: 5 * MINUTE, periods: 1, comparison: "atLeast", threshold: 1 } as const;

/** A value of 1 or more in each of the last minutes. */
const lasting = (minutes: number) =>
  ({ statistic: "Maximum", periodSeconds: MINUTE, periods: minutes, comparison: "atLeast", threshold: 1 }) as const;

const customers: MetricAlarm[] = [
  {
    name: "chat-failure-rate",
    group: "customers",
    metric: { of: "stack", name: "ChatFailed" },
    ...{ statistic: "Average", periodSeconds: 5 * MINUTE, periods: 1, comparison: "above", threshold: 0.2 },
    missing: quiet,
    isPart: true,
    means: "More than 20 % of the chats of the last five minutes failed on our side.",
    run: doctor,
  },
  {
    name: "chat-volume",
    group: "customers",
    metric: { of: "stack", name: "ChatFailed" },
    ...{ statistic: "SampleCount", periodSeconds: 5 * MINUTE, periods: 1, comparison: "atLeast", threshold: 10 },
    missing: quiet,
    isPart: true,
    means: "At least ten chats ended in the last five minutes, so the share of failures is meaningful.",
    run: doctor,
  },
  {
    name: "relay-crashes",
    group: "customers",
    metric: { of: "function", function: "relay", name: "Errors" },
    ...{ statistic: "Sum", periodSeconds: 5 * MINUTE, periods: 1, comparison: "atLeast", threshold: 10 },
    missing: quiet,
    isPart: true,
    means: "The relay itself crashed or timed out ten times in five minutes, so it counts no chats.",
    run: doctor,
  },
];

const money: MetricAlarm[] = [
  {
    name: "webhook-signatures",
    group: "money",
    metric: { of: "stack", name: "WebhookSignatureFailures" },
    ...{ statistic: "Sum", periodSeconds: 15 * MINUTE, periods: 1, comparison: "atLeast", threshold: 5 },
    missing: quiet,
    means:
      "Requests to the webhook have no valid signature. After a rotation the secret is wrong; otherwise a stranger sends them.",
    run: events,
  },
  {
    name: "webhook-lag",
    group: "money",
    metric: { of: "stack", name: "WebhookLagSeconds" },
    ...{ statistic: "Maximum", periodSeconds: 5 * MINUTE, periods: 1, comparison: "above", threshold: 15 * MINUTE },
    missing: quiet,
    means:
      "Stripe's events are handled more than 15 minutes after their creation. Customers wait for the plan that they paid for.",
    run: events,
  },
  {
    name: "reconciler-fixes",
    group: "money",
    metric: { of: "stack", name: "ReconcilerFixes" },
    ...{ statistic: "Sum", periodSeconds: HOUR, periods: 1, comparison: "atLeast", threshold: 1 },
    missing: quiet,
    means: "The reconciler handled events that the webhook never did. Stripe did not reach the webhook.",
    run: events,
  },
  {
    name: "reconciler-errors",
    group: "money",
    metric: { of: "function", function: "reconciler", name: "Errors" },
    // Four runs an hour. The next run repairs a single failure.
    ...{ statistic: "Sum", periodSeconds: HOUR, periods: 1, comparison: "atLeast", threshold: 3 },
    missing: {
      as: "missing",
      because: "the reconciler runs every 15 minutes, so no data means that it does not run",
    },
    means: "The reconciler fails or does not run. Customers whose deadline has passed keep their plan.",
    run: doctor,
  },
];

/** Functions that customers and Stripe wait for. */
const waitedFor = ["session", "guest", "relay", "webhook"] as const;

const api: MetricAlarm[] = [
  {
    name: "api-5xx",
    group: "api",
    metric: { of: "api", name: "5xx" },
    ...{ statistic: "Sum", periodSeconds: 5 * MINUTE, periods: 1, comparison: "atLeast", threshold: 5 },
    missing: quiet,
    means: "The API answers requests with 5xx errors. Customers cannot sign in, pay or chat.",
    run: doctor,
  },
  ...waitedFor.map(
    (name): MetricAlarm => ({
      name: `${name}-throttled`,
      group: "api",
      metric: { of: "function", function: name, name: "Throttles" },
      // The same threshold as for the 5xx errors of the API and the relay: a single refused request must not page.
      ...{ ...once, threshold: 5 },
      missing: quiet,
      means: `Lambda refuses invocations of ${name}: the reserved or the account's concurrency is used up.`,
      run: doctor,
    }),
  ),
];

const relay: MetricAlarm[] = [
  {
    name: "relay-5xx",
    group: "relay",
    metric: { of: "function", function: "relay", name: "Url5xxCount" },
    ...{ statistic: "Sum", periodSeconds: 5 * MINUTE, periods: 1, comparison: "atLeast", threshold: 5 },
    missing: quiet,
    means: "The relay answers chats with 5xx errors before the first text.",
    run: doctor,
  },
  {
    name: "relay-fallbacks",
    group: "relay",
    metric: { of: "stack", name: "RelayFallbacks" },
    ...{ statistic: "Sum", periodSeconds: 15 * MINUTE, periods: 1, comparison: "atLeast", threshold: 10 },
    missing: quiet,
    means: "Many calls to models fail. The relay repeats them or asks the next model, so customers wait longer.",
    run: doctor,
  },
];

/** Alarms of one model's endpoint. */
function endpointAlarms(model: Model): MetricAlarm[] {
  const on = (name: MetricName) => ({ of: "stack", name, model }) as const;
  const shared = { group: "endpoints", missing: pollerAlarmed, run: doctor } as const;
  return [
    {
      ...shared,
      name: `${model}-crash-loop`,
      metric: on("CrashLoop"),
      ...lasting(3),
      means: `Workers of ${model} crash at start while jobs wait.`,
    },
    {
      ...shared,
      name: `${model}-unhealthy`,
      metric: on("WorkersUnhealthy"),
      ...lasting(10),
      means: `A worker of ${model} has failed RunPod's health checks for ten minutes.`,
    },
    {
      ...shared,
      name: `${model}-no-capacity`,
      metric: on("NoCapacity"),
      ...lasting(3),
      means: `Jobs wait for ${model}, and the endpoint has had no worker in any state for three minutes.`,
    },
    {
      ...shared,
      name: `${model}-scarcity`,
      metric: on("Scarcity"),
      ...lasting(10),
      means: `Jobs wait for ${model}, and its workers have waited for a GPU for ten minutes. Add GPU pools to gpuIds.`,
    },
    {
      ...shared,
      name: `${model}-shrunk`,
      metric: on("EndpointShrunk"),
      ...lasting(5),
      means: `RunPod has lowered the maximum number of workers of ${model}, as it does for idle endpoints.`,
      run: "pulumi up --stack <stack>",
    },
    {
      ...shared,
      name: `${model}-jobs-failed`,
      metric: on("JobsFailed"),
      ...{ statistic: "Sum", periodSeconds: 5 * MINUTE, periods: 1, comparison: "atLeast", threshold: 3 },
      means: `RunPod ended jobs of ${model} as failed.`,
    },
  ];
}

const operations: MetricAlarm[] = [
  {
    name: "poller-silent",
    group: "operations",
    metric: { of: "stack", name: "QueueDepth", model: models[0] },
    ...{ statistic: "SampleCount", periodSeconds: MINUTE, periods: 5, comparison: "below", threshold: 1 },
    missing: silent,
    means: "The poller does not run or cannot read RunPod. Meanwhile, the alarms of the endpoints cannot fire.",
    run: doctor,
  },
  {
    name: "poller-errors",
    group: "operations",
    metric: { of: "function", function: "poller", name: "Errors" },
    ...{ statistic: "Sum", periodSeconds: 5 * MINUTE, periods: 1, comparison: "atLeast", threshold: 3 },
    missing: pollerAlarmed,
    means: "The poller fails.",
    run: doctor,
  },
  {
    name: "canary-errors",
    group: "operations",
    metric: { of: "function", function: "canary", name: "Errors" },
    ...{ statistic: "Sum", periodSeconds: 15 * MINUTE, periods: 1, comparison: "atLeast", threshold: 3 },
    missing: { as: "missing", because: "the function runs every minute, so no data means that it does not run" },
    means: "The canary function fails or does not run. A bad candidate keeps its customers meanwhile.",
    run: doctor,
  },
  {
    name: "registryRefresh",
    group: "operations",
    metric: { of: "function", function: "registryRefresh", name: "Errors" },
    // One run in this time, which Lambda retries twice.
    ...{ statistic: "Sum", periodSeconds: 6 * HOUR, periods: 1, comparison: "atLeast", threshold: 3 },
    missing: { as: "missing", because: "the function runs every 6 hours, and the token expires without a run" },
    needsEcr: true,
    means: "RunPod's registry credentials were not renewed: in less than twelve hours no worker can pull an image.",
    run: doctor,
  },
  {
    name: "registry-token-age",
    group: "operations",
    metric: { of: "stack", name: "RegistryTokenAgeSeconds" },
    ...{ statistic: "Maximum", periodSeconds: 5 * MINUTE, periods: 3, comparison: "above", threshold: 8 * HOUR },
    missing: pollerAlarmed,
    needsEcr: true,
    means: "The registry token is older than eight hours. It expires after twelve, and it is renewed every six.",
    run: doctor,
  },
  {
    name: "failed-runs",
    group: "operations",
    metric: { of: "failedRuns", name: "NumberOfMessagesSent" },
    ...{ statistic: "Sum", periodSeconds: 5 * MINUTE, periods: 1, comparison: "atLeast", threshold: 1 },
    missing: { as: "notBreaching", because: "SQS sends no data for a queue that nobody uses" },
    needsEcr: true,
    means: "A renewal of the registry token failed in spite of retries. Its event is in the queue of failed runs.",
    run: doctor,
  },
];

/** Section of each alarm code. */
const groupOfCode: Partial<Record<AlarmCode, AlarmGroup>> = {
  relay_provider: "relay",
  usage_not_settled: "relay",
  unknown_vip_provider: "relay",
  vip_spend_ceiling: "cost",
  candidate_unreadable: "operations",
  runpod_unreadable: "operations",
  keep_alive_failed: "operations",
};

/** Number of lines within a period that fire the alarm of a code. Default: the values of `once`. */
const linesOfCode: Partial<Record<AlarmCode, Partial<Pick<MetricAlarm, "threshold" | "periodSeconds">>>> = {
  // One line per minute and endpoint. A single minute without an answer is nothing to act on.
  runpod_unreadable: { threshold: 3 },
  // Each function that reads the candidate writes lines. A single failed read changes nothing.
  candidate_unreadable: { threshold: 3 },
  // One line per attempt and endpoint. The next attempt comes after ten minutes, and a job may be a day late.
  keep_alive_failed: { threshold: 3, periodSeconds: 30 * MINUTE },
};

const codes = Object.entries(alarmCodes).map(
  ([code, text]): MetricAlarm => ({
    name: code.replaceAll("_", "-"),
    // All other codes are about Stripe.
    group: groupOfCode[code as AlarmCode] ?? "money",
    metric: { of: "code", code: code as AlarmCode },
    ...once,
    ...linesOfCode[code as AlarmCode],
    missing: { as: "notBreaching", because: "a missing line means that the condition is over" },
    ...text,
  }),
);

/** Settings that some thresholds depend on. */
export interface AlarmSettings {
  /** US dollars per hour of one endpoint's workers above which the alarm fires. */
  hourlyUsd: number;
}

/**
 * All alarms on metrics. The program creates them, the drill fires them, and the runbook describes them.
 */
export function metricAlarms({ hourlyUsd }: AlarmSettings): MetricAlarm[] {
  const cost = models.map(
    (model): MetricAlarm => ({
      name: `${model}-spend`,
      group: "cost",
      metric: { of: "stack", name: "HourlyUsd", model },
      ...{ statistic: "Maximum", periodSeconds: HOUR, periods: 1, comparison: "above", threshold: hourlyUsd },
      missing: { as: "notBreaching", because: "RunPod's bill may be late, and that costs nothing" },
      means: `The workers of ${model} cost more in one hour than operations.hourlyUsd allows.`,
      run: doctor,
    }),
  );
  const all = [
    ...customers,
    ...money,
    ...api,
    ...relay,
    ...models.flatMap(endpointAlarms),
    ...cost,
    ...operations,
    ...codes,
  ];
  return all.sort((a, b) => alarmGroups.indexOf(a.group) - alarmGroups.indexOf(b.group));
}

/** All alarms on other alarms. They page. */
export const compositeAlarms: CompositeAlarm[] = [
  {
    name: "customers-cannot-chat",
    group: "customers",
    anyOf: [
      ["chat-failure-rate", "chat-volume"],
      ["relay-crashes"],
      ["relay-throttled"],
      ["session-throttled"],
      ["api-5xx"],
    ],
    means:
      "Customers cannot chat: chats fail, or Lambda or the API refuses requests. Chats directly with a worker are not counted.",
    run: doctor,
  },
];

/** Beginning of the description of an alarm that pages. A webhook receives these alarms only. */
export const PAGE_PREFIX = "PAGE: ";

/** Description of an alarm, which its message contains: the meaning, the first command and the runbook's section. */
export function alarmDescription({ name, means, run }: AlarmText, stack: string, isPage: boolean): string {
  const command = run.replaceAll("<stack>", stack);
  return `${isPage ? PAGE_PREFIX : ""}${means} First: ${command} Runbook: ${runbookAnchor(name)}`;
}

/** Address of an alarm's section in the runbook. */
export function runbookAnchor(name: string): string {
  return `docs/operations.md#${name.toLowerCase()}`;
}
