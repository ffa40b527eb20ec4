import { expect, it } from "vitest";
import { runbookAnchor } from "../../../infra/alarms";
import { SimulatedTimers } from "../../../local/aws/support/timers";
import { inTemporaryCloud } from "../../../local/cloud/temporaryCloud";
import { stackNames } from "../../../names";
import { runDrill, summary } from "../../../verify/drill/run";
import { drillConfig, Stage } from "../../../verify/drill/stage";

// `npm run drill` fires every alarm. This test fires one alarm of each kind: a custom metric, an alarm code, an AWS
// metric, a composite alarm, missing data, and the states of an endpoint.
const only = [
  "unknown-customer",
  "chat-failure-rate",
  "customers-cannot-chat",
  "relay-5xx",
  "guest-throttled",
  "api-5xx",
  "phi3-crash-loop",
  "runpod-unreadable",
  "poller-silent",
];

it("a drill of an unknown alarm fails with an error that names the alarm", async () => {
  const options = { only: ["poller-silent", "poler-errors"], say: () => {} };
  await expect(runDrill({} as Stage, options)).rejects.toThrow("no alarm has the name poler-errors");
});

it("an alarm does not count as fired when it has a problem or has never fired", () => {
  const by = "path";
  const ok = { alarm: "a", by, firedAfterMinutes: 1, recoveredAfterMinutes: 2 } as const;
  const silent = { ...ok, alarm: "b", problem: "sent no message" };
  const late = { alarm: "c", by, problem: "did not fire within 75 minutes" } as const;
  expect(summary(["a", "b", "c", "d"], [ok, silent, late])).toMatchObject({
    ...{ alarms: 4, fired: 1, recovered: 2 },
    missing: [{ alarm: "b" }, { alarm: "c" }, { alarm: "d", problem: "no fault of the drill causes it" }],
  });
});

/** A stage on which an alarm fires at once, and then keeps the state `afterwards`. */
function stageWith(afterwards: "OK" | "INSUFFICIENT_DATA"): Stage {
  const id = "snack-misaki-start-reconciler-incomplete-0123abc";
  const anchor = runbookAnchor("reconciler-incomplete");
  const message = JSON.stringify({ AlarmName: id, NewStateValue: "ALARM", AlarmDescription: anchor });
  const deliveries: { message: string }[] = [];
  let minutes = 0;
  const stateOf = () => {
    // Two minutes of warm-up, then one minute with the fault.
    if (minutes < 3) return "OK";
    return minutes === 3 ? "ALARM" : afterwards;
  };
  return {
    cloud: { aws: { cloudwatch: { stateOf }, deliveries } },
    names: stackNames("start"),
    resources: (type: string) => (type.endsWith("MetricAlarm") ? [{ id }] : []),
    changeFunction: () => () => {},
    passMinute: async () => {
      minutes += 1;
      if (minutes === 3) deliveries.push({ message });
    },
  } as unknown as Stage;
}

it.each([
  ["is OK", "recovered", "OK", 1],
  ["has no data", "not recovered", "INSUFFICIENT_DATA", 0],
] as const)("an alarm whose state %s after the fault is %s", async (_what, _result, afterwards, recovered) => {
  const result = await runDrill(stageWith(afterwards), { only: ["reconciler-incomplete"], say: () => {} });
  expect(result).toMatchObject({ alarms: 1, fired: recovered, recovered });
  if (recovered === 0) expect(result.missing[0]?.problem).toMatch(/^did not recover within/);
});

it("a drill fires each alarm by a fault, finds the runbook in the alarm's message, and sees the recovery", async () => {
  const timers = new SimulatedTimers();
  const options = { engine: "scripted" as const, withoutPython: true, timers, config: drillConfig, progress: () => {} };
  const result = await inTemporaryCloud(options, (cloud, outputs) =>
    runDrill(new Stage(cloud, outputs, timers), { only, say: () => {} }),
  );
  expect(result).toMatchObject({ alarms: only.length, fired: only.length, recovered: only.length, missing: [] });
});
