import { beforeAll, describe, expect, it, vi } from "vitest";
import { errorCodes } from "../../contract/errors";
import { models } from "../../contract/plan";
import { SessionResponse } from "../../contract/session";
import { alarmCodes } from "../../functions/core/alarmCodes";
import { dimensionOf, dimensionValues, type MetricName } from "../../functions/core/metrics";
import { CODE_METRIC } from "../../infra/alarmResources";
import { compositeAlarms, metricAlarms, PAGE_PREFIX } from "../../infra/alarms";
import { functionNames } from "../../infra/bundle";
import { SimulatedTimers } from "../../local/aws/support/timers";
import { customers } from "../../local/cloud/customers";
import { signedIn } from "../../local/visitor/customer";
import { Stage } from "../../verify/drill/stage";
import { type SuiteCloud, suiteCloud } from "../suiteCloud";

// Tests the log lines, metrics, alarms, dashboard and queries of the deployed program.
let cloud: SuiteCloud["cloud"];
let outputs: SuiteCloud["outputs"];
let stage: Stage;

beforeAll(async () => {
  ({ cloud, outputs } = await suiteCloud());
  stage = new Stage(cloud, outputs, new SimulatedTimers());
});

const CANARY = "カナリア・ママ";

/** Runs `use`. Returns the log lines that all functions wrote meanwhile. */
async function logLines(use: () => Promise<void>): Promise<string[]> {
  const log = vi.spyOn(cloud.aws.cloudwatch, "log");
  try {
    await use();
    await vi.waitUntil(() => cloud.aws.isIdle);
    await vi.waitUntil(() => log.mock.calls.some(([, line]) => line.includes('"ChatFailed"')));
    return log.mock.calls.map(([, line]) => line);
  } finally {
    log.mockRestore();
  }
}

describe("The log of a session and its chat", () => {
  it("has the correlation id of the API's request, and no text, e-mail address or ticket", async () => {
    const [customer] = customers;
    if (!customer) throw new Error("There is no seeded customer");
    let requestId = "";
    let ticket = "";
    const lines = await logLines(async () => {
      const { getIdToken } = await signedIn(outputs, cloud.pageUrl, customer);
      const headers = { authorization: `Bearer ${await getIdToken()}` };
      const response = await fetch(`${outputs.apiUrl}/auth/session`, { method: "POST", headers });
      requestId = response.headers.get("apigw-requestid") ?? "";
      ({ ticket } = SessionResponse.parse(await response.json()));
      const chat = (body: object) =>
        fetch(`${outputs.relayUrl}/chat`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(body),
        });
      await (await chat({ text: CANARY, ticket })).text();
      // The relay refuses this request, because it has no ticket.
      await (await chat({ text: CANARY })).text();
    });
    const chat = lines.map((line) => JSON.parse(line)).find(({ message }) => message?.chat);
    expect(chat).toMatchObject({ level: "INFO", message: { correlation: requestId, code: "ok" } });
    const text = lines.join("\n");
    for (const secret of [CANARY, customer.email, customer.sub, ticket]) expect(text).not.toContain(secret);
  });
});

describe("The poller", () => {
  const completed = async (model: (typeof models)[number]) => {
    const headers = { authorization: `Bearer ${stage.config("runpodApiKey")}` };
    const health = await fetch(`${cloud.runpod.jobApiUrl}/${stage.endpoint(model).id}/health`, { headers });
    return ((await health.json()) as { jobs: { completed: number } }).jobs.completed;
  };

  it("publishes the numbers of each endpoint", async () => {
    await cloud.aws.invoke(stage.function("poller").id, {});
    for (const model of models) {
      const id = { namespace: stage.names.metrics, name: "QueueDepth", dimensions: { model } };
      await vi.waitUntil(() => cloud.aws.cloudwatch.metrics.read(id, 0, Number.POSITIVE_INFINITY));
    }
  });

  it("sends a due keep-alive job, and a worker answers the job", async () => {
    const [model] = models;
    const before = await completed(model);
    await stage.makeKeepAliveDue(model);
    await cloud.aws.invoke(stage.function("poller").id, {});
    await vi.waitUntil(async () => (await completed(model)) > before, { timeout: 60_000, interval: 200 });
  });
});

describe("The stack", () => {
  const inputs = (type: string) => stage.resources(type).map((resource) => resource.inputs);

  it("has every alarm, and only the parts of composite alarms have no receiver", () => {
    const found = inputs("aws:cloudwatch/metricAlarm:MetricAlarm");
    const all = metricAlarms({ hourlyUsd: 5 });
    expect(found).toHaveLength(all.length);
    const silent = found.filter(({ alarmActions }) => alarmActions === undefined);
    expect(silent).toHaveLength(all.filter(({ isPart }) => isPart).length);
    const pages = inputs("aws:cloudwatch/compositeAlarm:CompositeAlarm");
    expect(pages).toHaveLength(compositeAlarms.length);
    for (const page of pages) expect(page.alarmDescription).toMatch(new RegExp(`^${PAGE_PREFIX}`));
  });

  it("counts the alarm codes in the log of every function", () => {
    expect(inputs("aws:cloudwatch/logMetricFilter:LogMetricFilter")).toHaveLength(functionNames.length);
  });

  it("has a dashboard with the sections Customers, Money, API, Relay, Endpoints, Cost and Operations", () => {
    const [dashboard] = inputs("aws:cloudwatch/dashboard:Dashboard");
    const { widgets } = JSON.parse(String(dashboard?.dashboardBody)) as {
      widgets: { type: string; y: number; properties: { markdown: string } }[];
    };
    const titles = widgets.filter(({ type }) => type === "text").sort((one, other) => one.y - other.y);
    expect(titles.map(({ properties }) => properties.markdown)).toEqual(
      ["Customers", "Money", "API", "Relay", "Endpoints", "Cost", "Operations"].map((title) => `## ${title}`),
    );
  });

  it("shows every alarm code on the dashboard", () => {
    const [dashboard] = inputs("aws:cloudwatch/dashboard:Dashboard");
    for (const code of Object.keys(alarmCodes)) expect(dashboard?.dashboardBody).toContain(`"Alarms","code","${code}"`);
  });

  it("has a saved log query for every error code", () => {
    const names = inputs("aws:cloudwatch/queryDefinition:QueryDefinition").map(({ name }) => name);
    for (const code of Object.keys(errorCodes)) expect(names).toContain(`snack-misaki/start/errors/${code}`);
  });
});

describe("The custom metrics of the stack", () => {
  it("have only known names and dimensions, so that their number stays within the limit of 60", async () => {
    await cloud.aws.invoke(stage.function("poller").id, {});
    await vi.waitUntil(() => cloud.aws.isIdle);
    const published = cloud.aws.cloudwatch.metrics.list().filter(({ namespace }) => namespace === stage.names.metrics);
    expect(published.length).toBeGreaterThan(0);
    for (const { name, dimensions = {} } of published) {
      if (name === CODE_METRIC.name) {
        expect(Object.keys(alarmCodes)).toContain(dimensions[CODE_METRIC.dimension]);
        continue;
      }
      const dimension = dimensionOf(name as MetricName);
      expect(Object.keys(dimensions), name).toEqual(dimension ? [dimension] : []);
      if (dimension) expect(dimensionValues[dimension], name).toContain(dimensions[dimension]);
    }
    expect(published.length).toBeLessThanOrEqual(60);
  });
});
