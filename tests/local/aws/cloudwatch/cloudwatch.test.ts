import { describe, expect, it } from "vitest";
import type { Listening } from "../../../../local/support/http";
import { serve } from "../../../../local/support/http";
import { code, ManualTimers, nextEvent, startTestCloud } from "../fixture";
import { putRole } from "../roles";

const ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm";
const FILTER = "aws:cloudwatch/logMetricFilter:LogMetricFilter";
const TOPIC = "aws:sns/topic:Topic";
const SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription";
const FUNCTION = "aws:lambda/function:Function";
const MINUTE_MS = 60_000;

const failures = {
  namespace: "Stage",
  metricName: "Failures",
  statistic: "Sum",
  period: 60,
  evaluationPeriods: 2,
  comparisonOperator: "GreaterThanOrEqualToThreshold",
  threshold: 3,
  treatMissingData: "notBreaching",
};

type Cloud = Awaited<ReturnType<typeof startTestCloud>>;

/** Starts a cloud with a clock that the test moves. */
async function startCloud() {
  const timers = new ManualTimers();
  const cloud = await startTestCloud({ timers });
  const passMinute = async () => {
    timers.advance(MINUTE_MS);
    await cloud.aws.cloudwatch.settled();
  };
  return { cloud, passMinute, [Symbol.asyncDispose]: () => cloud[Symbol.asyncDispose]() };
}

const put = ({ aws }: Cloud, value: number) => aws.cloudwatch.put({ namespace: "Stage", name: "Failures" }, value);

describe("A metric alarm", () => {
  it("fires when its statistic breaches in every period, and recovers without data", async () => {
    await using stage = await startCloud();
    const { cloud, passMinute } = stage;
    const { id } = await cloud.engine.create(ALARM, "failures", failures);
    const state = () => cloud.aws.cloudwatch.stateOf(id);
    expect(state()).toBe("INSUFFICIENT_DATA");
    put(cloud, 1);
    put(cloud, 2);
    await passMinute();
    expect(state()).toBe("OK");
    put(cloud, 3);
    await passMinute();
    expect(state()).toBe("ALARM");
    // CloudWatch keeps the state while the range still has two real datapoints.
    for (let minute = 0; minute < 4; minute++) await passMinute();
    expect(state()).toBe("OK");
  });

  it("ignores the values of a metric with other dimensions", async () => {
    await using stage = await startCloud();
    const { cloud, passMinute } = stage;
    const { id } = await cloud.engine.create(ALARM, "failures", { ...failures, evaluationPeriods: 1 });
    cloud.aws.cloudwatch.put({ namespace: "Stage", name: "Failures", dimensions: { model: "phi3" } }, 9);
    await passMinute();
    expect(cloud.aws.cloudwatch.stateOf(id)).toBe("OK");
  });

  it.each([
    ["statistic", { statistic: "p95" }],
    ["evaluationPeriods", { period: 3_600, evaluationPeriods: 200 }],
    ["datapointsToAlarm", { datapointsToAlarm: 3 }],
    ["alarmActions[0]", { alarmActions: ["arn:aws:lambda:us-east-1:000000000000:function:f"] }],
  ])("is refused when its %s is invalid", async (property, change) => {
    await using cloud = await startTestCloud();
    const { failures: found } = await cloud.engine.check(ALARM, "failures", { ...failures, ...change });
    expect(found.map((one) => one.property)).toEqual([property]);
  });
});

describe("A log line of a function", () => {
  const lambda = { role: "arn:aws:iam::000000000000:role/r", handler: "__index.handler", runtime: "nodejs24.x" };
  const emf = {
    _aws: {
      Timestamp: 0,
      CloudWatchMetrics: [{ Namespace: "Stage", Dimensions: [["model"]], Metrics: [{ Name: "Depth", Unit: "Count" }] }],
    },
    model: "phi3",
    Depth: 7,
  };
  const handler = code(`exports.handler = async () => {
    console.error({ alarm: "unknown_price", prices: ["price_1"] });
    process.stdout.write(JSON.stringify({ ...${JSON.stringify(emf)}, _aws: { ...${JSON.stringify(emf._aws)}, Timestamp: Date.now() } }) + "\\n");
    console.log("the end");
  }`);

  it("is converted to metrics by the embedded metric format, and by the filters of only its log group", async () => {
    await using cloud = await startTestCloud();
    const loggingConfig = { logFormat: "JSON", logGroup: "group-of-f" };
    const Resource = [cloud.aws.account.arn("logs", "log-group:group-of-f:*")];
    putRole(cloud.aws.account, "r", { Action: ["logs:CreateLogStream", "logs:PutLogEvents"], Resource });
    const { id } = await cloud.engine.create(FUNCTION, "f", { ...lambda, loggingConfig, code: handler });
    const metricTransformation = {
      ...{ namespace: "Stage", name: "Alarms", value: "1", unit: "Count" },
      dimensions: { code: "$.message.alarm" },
    };
    const filter = { pattern: '{ $.message.alarm = "*" }', metricTransformation };
    await cloud.engine.create(FILTER, "here", { ...filter, logGroupName: "group-of-f" });
    await cloud.engine.create(FILTER, "elsewhere", { ...filter, logGroupName: "group-of-g" });
    const ended = nextEvent(cloud.events, /the end/);
    await cloud.aws.invoke(id, {});
    expect(JSON.parse((await ended).summary.slice(id.length))).toMatchObject({ level: "INFO", message: "the end" });
    const { metrics } = cloud.aws.cloudwatch;
    const read = (name: string, dimensions: Record<string, string>) =>
      metrics.read({ namespace: "Stage", name, dimensions }, 0, Number.POSITIVE_INFINITY);
    expect(read("Alarms", { code: "unknown_price" })).toMatchObject({ count: 1, sum: 1 });
    expect(read("Depth", { model: "phi3" })).toMatchObject({ count: 1, sum: 7 });
    expect(read("Invocations", { FunctionName: id })).toBeUndefined();
    expect(metrics.list()).toContainEqual({
      ...{ namespace: "AWS/Lambda", name: "Invocations" },
      dimensions: { FunctionName: id },
    });
  });
});

describe("An alarm's message", () => {
  /** A webhook that records the messages of SNS. It confirms its subscription if `confirms` is true. */
  async function startWebhook(
    confirms: boolean,
  ): Promise<Listening & { received: { Type: string; Message?: string }[] }> {
    const received: { Type: string; Message?: string }[] = [];
    const listening = await serve("webhook", 0, async (request) => {
      const message = JSON.parse(await request.text());
      received.push(message);
      if (message.SubscribeURL && confirms) await fetch(message.SubscribeURL);
      return new Response();
    });
    return { ...listening, received };
  }

  async function fire(stage: Awaited<ReturnType<typeof startCloud>>, endpoint: string, description: string) {
    const { cloud, passMinute } = stage;
    const topic = await cloud.engine.create(TOPIC, "alarms", {});
    const shared = { topic: topic.id, filterPolicyScope: "MessageBody" };
    const filterPolicy = JSON.stringify({ AlarmDescription: [{ prefix: "PAGE: " }] });
    await cloud.engine.create(SUBSCRIPTION, "mail", { topic: topic.id, protocol: "email", endpoint: "a@example.com" });
    await cloud.engine.create(SUBSCRIPTION, "hook", { ...shared, protocol: "http", endpoint, filterPolicy });
    const alarm = { ...failures, evaluationPeriods: 1, alarmActions: [topic.id], alarmDescription: description };
    await cloud.engine.create(ALARM, "failures", alarm);
    put(cloud, 3);
    await passMinute();
  }

  it("reaches the e-mail address and the webhook that confirmed the subscription", async () => {
    await using stage = await startCloud();
    const webhook = await startWebhook(true);
    await fire(stage, webhook.url, "PAGE: Customers cannot chat.");
    const mails = stage.cloud.aws.deliveries.filter(({ protocol }) => protocol === "email");
    expect(mails.map(({ endpoint, subject }) => [endpoint, subject.slice(0, 16)])).toEqual([
      ["a@example.com", 'ALARM: "failures'],
    ]);
    expect(webhook.received.map(({ Type }) => Type)).toEqual(["SubscriptionConfirmation", "Notification"]);
    expect(JSON.parse(webhook.received[1]?.Message ?? "")).toMatchObject({
      NewStateValue: "ALARM",
      OldStateValue: "INSUFFICIENT_DATA",
      AlarmDescription: "PAGE: Customers cannot chat.",
    });
    await webhook.close();
  });

  it("reaches only the confirmed subscriptions after a restart", async () => {
    await using first = await startTestCloud();
    const topic = await first.engine.create(TOPIC, "alarms", {});
    const [confirming, silent] = await Promise.all([startWebhook(true), startWebhook(false)]);
    for (const { url, port } of [confirming, silent]) {
      const inputs = { topic: topic.id, protocol: "http", endpoint: url };
      await first.engine.create(SUBSCRIPTION, `hook-${port}`, inputs);
    }
    await first.stop();

    const timers = new ManualTimers();
    const second = await startTestCloud({ dir: first.dir, timers });
    const alarm = { ...failures, evaluationPeriods: 1, alarmActions: [topic.id] };
    await second.engine.create(ALARM, "failures", alarm);
    put(second, 3);
    timers.advance(MINUTE_MS);
    await second.aws.cloudwatch.settled();
    expect(confirming.received.map(({ Type }) => Type)).toEqual(["SubscriptionConfirmation", "Notification"]);
    expect(silent.received.map(({ Type }) => Type)).toEqual(["SubscriptionConfirmation"]);
    await second.stop();
    await Promise.all([confirming.close(), silent.close()]);
  });

  it("does not reach a webhook without a confirmation, or with a filter that does not match", async () => {
    await using first = await startCloud();
    const silent = await startWebhook(false);
    await fire(first, silent.url, "PAGE: Customers cannot chat.");
    expect(silent.received.map(({ Type }) => Type)).toEqual(["SubscriptionConfirmation"]);
    await using second = await startCloud();
    const other = await startWebhook(true);
    await fire(second, other.url, "A price is unknown.");
    expect(other.received.map(({ Type }) => Type)).toEqual(["SubscriptionConfirmation"]);
    await Promise.all([silent.close(), other.close()]);
  });
});

describe("The provider refuses", () => {
  it.each([
    ["a pattern that is not supported", FILTER, { pattern: "ERROR" }, "pattern"],
    [
      "a composite rule that is not valid",
      "aws:cloudwatch/compositeAlarm:CompositeAlarm",
      { alarmName: "a", alarmRule: "ALARM(" },
      "alarmRule",
    ],
    [
      "a query with an unknown command",
      "aws:cloudwatch/queryDefinition:QueryDefinition",
      { name: "q", queryString: "select 1" },
      "queryString",
    ],
    [
      "a dashboard with a graph without metrics",
      "aws:cloudwatch/dashboard:Dashboard",
      {
        dashboardName: "d",
        dashboardBody: JSON.stringify({
          widgets: [{ type: "metric", x: 0, y: 0, width: 8, height: 6, properties: { region: "x", metrics: [] } }],
        }),
      },
      "dashboardBody.widgets[0].properties.metrics",
    ],
  ])("%s", async (_name, type, inputs, property) => {
    await using cloud = await startTestCloud();
    const filter = { logGroupName: "g", metricTransformation: { namespace: "n", name: "m", value: "1" } };
    const { failures: found } = await cloud.engine.check(type, "x", { ...(type === FILTER && filter), ...inputs });
    expect(found.map((one) => one.property)).toEqual([property]);
  });
});
