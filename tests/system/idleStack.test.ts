import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { models } from "../../contract/plan";
import { compositeAlarm, metricAlarm } from "../../local/aws/cloudwatch/resources";
import { SimulatedTimers } from "../../local/aws/support/timers";
import type { LocalCloud } from "../../local/cloud/cloud";
import { inTemporaryCloud } from "../../local/cloud/temporaryCloud";

// Without customers, a stack must send no alarm: neither in its first hour nor during a night.
const MINUTE_MS = 60_000;
const NIGHT_MINUTES = 8 * 60;
const emails = { "operations.emails": ["operator@example.com"] };

/** A stack that needs only RunPod's key: it sells nothing, has no external LLM and its images are public. */
const smallest = {
  ...emails,
  ...{ stripeApiKey: undefined, stripeWebhookKey: undefined, billing: undefined },
  ...{ anthropicApiKey: undefined, openaiApiKey: undefined, huggingfaceToken: undefined, vip: undefined },
  "auth.email": undefined,
  registry: { kind: "public" },
  ...Object.fromEntries(
    models.flatMap((model) => [
      [`${model}.imageTag`, undefined],
      [`${model}.imageUri`, `ghcr.io/snack-misaki/${model}:2026-11-22`],
    ]),
  ),
};

async function passMinute({ aws, runpod }: LocalCloud, timers: SimulatedTimers): Promise<void> {
  runpod.skip(MINUTE_MS);
  timers.advance(MINUTE_MS);
  while (!aws.isIdle) await sleep(2);
  // The final log lines of a function arrive after the function's result.
  await sleep(10);
  await aws.cloudwatch.settled();
}

it.each([
  ["with every part", emails],
  ["without billing, external LLMs and a private ECR", smallest],
])(
  "a new stack %s sends no alarm during a night without customers, and every alarm has data",
  async (_what, config) => {
    const timers = new SimulatedTimers();
    const options = { engine: "scripted" as const, withoutPython: true, timers, config, progress: () => {} };
    await inTemporaryCloud(options, async (cloud) => {
      const { aws } = cloud;
      // CloudWatch evaluates a new alarm at once.
      await aws.cloudwatch.evaluate();
      for (let minute = 0; minute < NIGHT_MINUTES; minute++) await passMinute(cloud, timers);
      const sent = aws.deliveries.map(({ message }) => JSON.parse(message));
      // A paging alarm also sends its first change to OK. This message shows the operator that messages arrive.
      expect(sent.map(({ AlarmName, NewStateValue }) => `${AlarmName} ${NewStateValue}`)).toEqual([
        "snack-misaki-start-customers-cannot-chat OK",
      ]);
      const alarms = [metricAlarm, compositeAlarm].flatMap(({ type }) => aws.account.list(type));
      const states = alarms.map(({ id }) => [id, aws.cloudwatch.stateOf(id)]);
      expect(states.filter(([, state]) => state !== "OK")).toEqual([]);
      expect(states.length).toBeGreaterThan(40);
    });
  },
  5 * MINUTE_MS,
);
