import * as pulumi from "@pulumi/pulumi";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { Functions } from "../../infra/alarmResources";
import { compositeAlarms, metricAlarms } from "../../infra/alarms";
import type { Config } from "../../infra/config";

/** Resources that the program creates, as `<type> <name>`. */
const created: { type: string; name: string; inputs: Record<string, unknown> }[] = [];
beforeAll(async () => {
  const newResource = ({ type, name, inputs }: pulumi.runtime.MockResourceArgs) => {
    created.push({ type, name, inputs });
    return { id: name, state: { ...inputs, name, arn: `arn:${name}` } };
  };
  await pulumi.runtime.setMocks({ newResource, call: () => ({}) }, "snack-misaki", "test");
});
beforeEach(() => void created.splice(0));
afterEach(() => void vi.restoreAllMocks());

const operations: Config["operations"] = { emails: [], metrics: "all", hourlyUsd: 5, expectedChatsPerDay: 100 };
const named = [
  ...metricAlarms(operations).flatMap(({ metric }) => (metric.of === "function" ? [metric.function] : [])),
];
const lambda = (name: string) => ({ function: { name: pulumi.output(name) }, log: { name: pulumi.output(name) } });

/** Creates the alarms of a stack with these functions. */
async function create(names: readonly string[]): Promise<void> {
  const { createAlarms } = await import("../../infra/alarmResources.js");
  const functions = Object.fromEntries(names.map((name) => [name, lambda(name)])) as unknown as Functions;
  const sources = { functions, apiId: pulumi.output("api"), failedRuns: undefined };
  const notifications = { topicArn: pulumi.output("arn:topic") };
  createAlarms({ config: { stack: "test", operations }, sources, notifications }, {});
}

describe("createAlarms", () => {
  it("throws when the stack lacks a function that an alarm needs, instead of creating an alarm that never fires", async () => {
    await expect(create(named.filter((name) => name !== "relay"))).rejects.toThrow(
      "An alarm needs relay, which the stack does not have",
    );
  });

  it("gives every alarm that needs data a message for the state INSUFFICIENT_DATA, and no other alarm", async () => {
    await create(named);
    const needed = metricAlarms(operations).filter(({ missing, needsEcr }) => missing.as === "missing" && !needsEcr);
    await vi.waitUntil(() => created.some(({ type }) => type.includes("compositeAlarm")));
    const found = created.filter(({ inputs }) => inputs.insufficientDataActions !== undefined);
    expect(found.map(({ name }) => name).sort()).toEqual(needed.map(({ name }) => name).sort());
    for (const { inputs } of found) expect(inputs).toMatchObject({ treatMissingData: "missing" });
  });

  it("throws when a composite alarm names an alarm that does not exist", async () => {
    const [page] = compositeAlarms;
    page?.anyOf.push(["unknown-code"]);
    try {
      await expect(create(named)).rejects.toThrow(
        "An alarm needs the alarm unknown-code, which the stack does not have",
      );
    } finally {
      page?.anyOf.pop();
    }
  });
});

describe("createNotifications", () => {
  async function receivers(config: { emails?: string[]; alarmWebhookUrl?: string }) {
    const { createNotifications } = await import("../../infra/notifications.js");
    const warn = vi.spyOn(pulumi.log, "warn").mockResolvedValue();
    const { emails = [], alarmWebhookUrl } = config;
    const url = alarmWebhookUrl === undefined ? undefined : pulumi.output(alarmWebhookUrl);
    createNotifications("alarms", { operations: { ...operations, emails }, alarmWebhookUrl: url }, {});
    await vi.waitFor(() => {
      const own = created.filter(({ type }) => type.startsWith("aws:sns/"));
      expect(own).toHaveLength(1 + emails.length + Number(url !== undefined));
    });
    return warn.mock.calls.map(([text]) => text);
  }

  it("warns when nobody receives the alarms", async () => {
    expect(await receivers({})).toEqual(["Nobody receives the alarms: set operations.emails or alarmWebhookUrl."]);
  });

  it.each([
    ["an e-mail address", { emails: ["operator@example.com"] }],
    ["a webhook", { alarmWebhookUrl: "https://pager.example/key" }],
  ])("does not warn when %s receives them", async (_what, config) => {
    expect(await receivers(config)).toEqual([]);
  });
});
