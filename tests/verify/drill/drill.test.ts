import { expect, it } from "vitest";
import { SimulatedTimers } from "../../../local/aws/support/timers";
import { inTemporaryCloud } from "../../../local/cloud/temporaryCloud";
import { runDrill } from "../../../verify/drill/run";
import { drillConfig, Stage } from "../../../verify/drill/stage";

// `npm run drill` fires every alarm. These stand for the kinds: an own metric, an alarm code, a metric of AWS, a composite
// alarm, missing data, and the states of an endpoint.
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

it("a drill fires each alarm by its fault, finds the runbook in its message, and sees it recover", async () => {
  const timers = new SimulatedTimers();
  const options = { engine: "scripted" as const, withoutPython: true, timers, config: drillConfig, progress: () => {} };
  const result = await inTemporaryCloud(options, (cloud, outputs) =>
    runDrill(new Stage(cloud, outputs, timers), { only, say: () => {} }),
  );
  expect(result).toMatchObject({ alarms: only.length, fired: only.length, recovered: only.length, missing: [] });
});
