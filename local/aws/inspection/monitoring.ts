import type { Hono } from "hono";
import { z } from "zod";
import type { Events } from "../../support/events";
import type { CloudWatch } from "../cloudwatch/cloudwatch";
import { compositeAlarm, metricAlarm } from "../cloudwatch/resources";
import { JsonProtocolError, jsonProtocolApp } from "../jsonProtocol";
import type { AwsAccount, AwsResource } from "../support/account";
import { texts } from "../support/values";

/** Parts of CloudWatch that the inspection APIs read. */
export type Monitored = Pick<CloudWatch, "stateOf" | "changedAtMs" | "metrics" | "linesOf">;

const DescribeAlarmsInput = z.strictObject({
  AlarmNames: z.array(z.string().min(1).max(255)).min(1).max(100),
  AlarmTypes: z.array(z.enum(["MetricAlarm", "CompositeAlarm"])).default(["MetricAlarm"]),
  // The default is lower than the maximum number of names, as in AWS.
  MaxRecords: z.int().min(1).max(100).default(50),
  NextToken: z.string().regex(/^\d+$/).default("0"),
});

const seconds = z.number().transform((value) => value * 1_000);
const MetricQuery = z.strictObject({
  Id: z.string().regex(/^[a-z]\w{0,254}$/),
  MetricStat: z.strictObject({
    Metric: z.strictObject({
      Namespace: z.string(),
      MetricName: z.string(),
      Dimensions: z.array(z.strictObject({ Name: z.string(), Value: z.string() })).default([]),
    }),
    Period: z.int().refine((period) => period % 60 === 0, "must be a multiple of 60"),
    Stat: z.literal("Sum", "must be Sum: the local cloud supports no other statistic here"),
  }),
});
const GetMetricDataInput = z.strictObject({
  MetricDataQueries: z.array(MetricQuery).min(1).max(500),
  StartTime: seconds,
  EndTime: seconds,
  ScanBy: z.enum(["TimestampDescending", "TimestampAscending"]).default("TimestampDescending"),
});

/** CloudWatch's API: `DescribeAlarms` by name, and `GetMetricData` without expressions. */
export function monitoringApi(account: AwsAccount, cloudwatch: Monitored, events: Events): Hono {
  const describe = (alarm: AwsResource) => ({
    AlarmName: alarm.id,
    AlarmArn: alarm.outputs.arn,
    AlarmDescription: alarm.outputs.alarmDescription,
    ActionsEnabled: alarm.outputs.actionsEnabled !== false,
    AlarmActions: texts(alarm.outputs.alarmActions),
    OKActions: texts(alarm.outputs.okActions),
    InsufficientDataActions: texts(alarm.outputs.insufficientDataActions),
    AlarmConfigurationUpdatedTimestamp: cloudwatch.changedAtMs(alarm.id) / 1_000,
    StateValue: cloudwatch.stateOf(alarm.id),
  });

  function values({ MetricStat }: z.infer<typeof MetricQuery>, fromMs: number, toMs: number) {
    const { Metric, Period } = MetricStat;
    const { Namespace: namespace, MetricName: name, Dimensions } = Metric;
    const id = { namespace, name, dimensions: Object.fromEntries(Dimensions.map((one) => [one.Name, one.Value])) };
    const periodMs = Period * 1_000;
    const found: { atMs: number; sum: number }[] = [];
    for (let atMs = Math.floor(fromMs / periodMs) * periodMs; atMs < toMs; atMs += periodMs) {
      const summary = cloudwatch.metrics.read(id, atMs, atMs + periodMs);
      if (summary) found.push({ atMs, sum: summary.sum });
    }
    return found;
  }

  const operations = {
    DescribeAlarms(body: unknown) {
      const { AlarmNames, AlarmTypes, MaxRecords, NextToken } = DescribeAlarmsInput.parse(body);
      const kinds = { MetricAlarm: metricAlarm.type, CompositeAlarm: compositeAlarm.type };
      const all = AlarmTypes.flatMap((kind) => AlarmNames.flatMap((name) => account.get(kinds[kind], name) ?? []));
      const end = Number(NextToken) + MaxRecords;
      const page = all.slice(Number(NextToken), end);
      const ofKind = (kind: keyof typeof kinds) => page.filter(({ type }) => type === kinds[kind]).map(describe);
      return {
        MetricAlarms: ofKind("MetricAlarm"),
        CompositeAlarms: ofKind("CompositeAlarm"),
        ...(end < all.length && { NextToken: String(end) }),
      };
    },
    GetMetricData(body: unknown) {
      const { MetricDataQueries, StartTime, EndTime, ScanBy } = GetMetricDataInput.parse(body);
      if (StartTime >= EndTime)
        throw new JsonProtocolError("InvalidParameterValue", "The parameter StartTime must be less than EndTime.");
      return {
        MetricDataResults: MetricDataQueries.map((query) => {
          const found = values(query, StartTime, EndTime);
          if (ScanBy === "TimestampDescending") found.reverse();
          const Timestamps = found.map(({ atMs }) => atMs / 1_000);
          return { Id: query.Id, Timestamps, Values: found.map(({ sum }) => sum), StatusCode: "Complete" };
        }),
      };
    },
  };
  const accesses = (operation: string) => [{ action: `cloudwatch:${operation}`, resource: "*" }];
  return jsonProtocolApp(
    { source: "aws", target: "GraniteServiceVersion20100801", operations, account, accesses },
    events,
  );
}
