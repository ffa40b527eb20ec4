import * as pulumi from "@pulumi/pulumi";
import { alarmCodes } from "../functions/core/alarmCodes";
import { dimensionOf, dimensionValues, isDetail, type MetricName } from "../functions/core/metrics";
import { stackNames } from "../names";
import { CODE_METRIC, type MetricSources } from "./alarmResources";
import * as aws from "./aws";
import type { FunctionName } from "./bundle";
import type { Config } from "./config";

interface DashboardArgs {
  config: Pick<Config, "stack" | "operations">;
  sources: MetricSources;
}

/** One line of a graph: `[namespace, name, dimension, value …, options]`, as CloudWatch reads it. */
type Line = (string | { stat: string; label?: string })[];

/** One graph. */
interface Graph {
  title: string;
  lines: Line[];
}

const COLUMNS = 3;
const WIDTH = 8;
const HEIGHT = 6;

/** Creates the dashboard. It reads from top to bottom: customers, money, API, relay, endpoints, cost, operations. */
export function createDashboard({ config, sources }: DashboardArgs, child: pulumi.CustomResourceOptions): void {
  const { region } = aws.getRegionOutput({}, child);
  const names = Object.entries(sources.functions).map(([name, lambda]) => [name, lambda.function.name]);
  const dashboardBody = pulumi
    .all([region, sources.apiId, pulumi.output(Object.fromEntries(names))])
    .apply(([region, apiId, functionNames]) =>
      JSON.stringify({ widgets: widgets(sections(config, { apiId, functionNames }), region) }),
    );
  new aws.cloudwatch.Dashboard("operations", { dashboardName: stackNames(config.stack).prefix, dashboardBody }, child);
}

interface Names {
  apiId: string;
  functionNames: Partial<Record<FunctionName, string>>;
}

/** Graphs by section, in the order of the dashboard. */
function sections({ stack, operations }: DashboardArgs["config"], { apiId, functionNames }: Names) {
  const namespace = stackNames(stack).metrics;
  /** Lines of one of our metrics: one for each value of its dimension. */
  const own = (name: MetricName, stat: string): Line[] => {
    if (isDetail(name) && operations.metrics === "few") return [];
    const dimension = dimensionOf(name);
    if (!dimension) return [[namespace, name, { stat }]];
    return dimensionValues[dimension].map((value) => [
      namespace,
      name,
      dimension,
      value,
      { stat, label: `${name} ${value}` },
    ]);
  };
  const lambda = (name: string, stat: string, ...of: FunctionName[]): Line[] =>
    of.flatMap((each) => {
      const FunctionName = functionNames[each];
      return FunctionName
        ? [["AWS/Lambda", name, "FunctionName", FunctionName, { stat, label: `${name} ${each}` }]]
        : [];
    });
  const codes = Object.keys(alarmCodes).map(
    (code): Line => [namespace, CODE_METRIC.name, CODE_METRIC.dimension, code, { stat: "Sum", label: code }],
  );
  const api = (name: string, stat: string): Line[] => [["AWS/ApiGateway", name, "ApiId", apiId, { stat }]];
  const graph = (title: string, ...lines: Line[][]): Graph => ({ title, lines: lines.flat() });
  return {
    Customers: [
      graph("Sessions by plan", own("Sessions", "Sum")),
      graph("Chats", own("ChatFailed", "SampleCount")),
      graph("Share of failed chats", own("ChatFailed", "Average")),
      graph("First text, p95", own("FirstTextMs", "p95")),
    ],
    Money: [
      graph("Calls", lambda("Invocations", "Sum", "checkout", "portal", "webhook")),
      graph("Webhook lag", own("WebhookLagSeconds", "Maximum")),
      graph("Trouble", own("WebhookSignatureFailures", "Sum"), own("ReconcilerFixes", "Sum")),
    ],
    API: [
      graph("Requests and errors", api("Count", "Sum"), api("4xx", "Sum"), api("5xx", "Sum")),
      graph("Latency, p95", api("Latency", "p95")),
      graph("Throttles", lambda("Throttles", "Sum", "session", "guest", "webhook", "relay")),
    ],
    Relay: [
      graph("Requests", lambda("UrlRequestCount", "Sum", "relay"), lambda("Url5xxCount", "Sum", "relay")),
      graph("Failed calls to models", own("RelayFallbacks", "Sum")),
      graph("Tokens", own("PromptTokens", "Sum"), own("CachedTokens", "Sum"), own("ReplyTokens", "Sum")),
    ],
    Endpoints: [
      graph("Waiting jobs", own("QueueDepth", "Maximum")),
      graph("Failed jobs", own("JobsFailed", "Sum")),
      graph(
        "Workers",
        own("WorkersRunning", "Maximum"),
        own("WorkersIdle", "Maximum"),
        own("WorkersInitializing", "Maximum"),
      ),
      graph("Workers in trouble", own("WorkersUnhealthy", "Maximum")),
      graph(
        "Endpoints in trouble",
        own("CrashLoop", "Maximum"),
        own("NoCapacity", "Maximum"),
        own("Scarcity", "Maximum"),
        own("EndpointShrunk", "Maximum"),
      ),
      graph("Rollout", own("RolloutPercent", "Minimum")),
      graph("Share of the candidate", own("CandidateShare", "Maximum")),
    ],
    Cost: [graph("RunPod, dollars per hour", own("HourlyUsd", "Maximum"))],
    Operations: [graph("Alarms by code", codes), graph("Registry token", own("RegistryTokenAgeSeconds", "Maximum"))],
  } satisfies Record<string, Graph[]>;
}

/**
 * Places the graphs in rows of three, below the title of their section. Omits a graph without lines, which CloudWatch
 * refuses.
 */
function widgets(bySection: Record<string, Graph[]>, region: string): object[] {
  let y = 0;
  return Object.entries(bySection).flatMap(([section, all]) => {
    const graphs = all.filter(({ lines }) => lines.length > 0);
    const title = {
      type: "text",
      x: 0,
      y,
      width: COLUMNS * WIDTH,
      height: 1,
      properties: { markdown: `## ${section}` },
    };
    y += 1;
    const placed = graphs.map(({ title, lines }, index) => ({
      type: "metric",
      x: (index % COLUMNS) * WIDTH,
      y: y + Math.floor(index / COLUMNS) * HEIGHT,
      width: WIDTH,
      height: HEIGHT,
      properties: { title, region, view: "timeSeries", period: 300, metrics: lines },
    }));
    y += Math.ceil(graphs.length / COLUMNS) * HEIGHT;
    return [title, ...placed];
  });
}
