import { describe, expect, it } from "vitest";
import { type AlarmFacts, judgeAlarms } from "../../../../ops/doctor/aws/alarms";

const alarm: AlarmFacts = {
  name: "api-5xx",
  state: "OK",
  description: "The API fails. First: npm run doctor -- --stack dev Runbook: docs/operations.md#api-5xx",
  hasActions: true,
  areActionsOn: true,
  needsData: false,
  ageMs: 0,
};
const part: AlarmFacts = { ...alarm, name: "chat-volume", hasActions: false };

it("judgeAlarms accepts alarms when none fires, and counts the alarms without data", () => {
  expect(judgeAlarms([alarm, { ...part, state: "INSUFFICIENT_DATA" }], ["api-5xx", "chat-volume"])).toEqual([
    { name: "alarms", status: "ok", seen: "2 alarms, none fires; 1 have no data yet", todo: "" },
  ]);
});

it("judgeAlarms does not report a firing alarm when its composite alarm does not fire", () => {
  expect(judgeAlarms([{ ...part, state: "ALARM" }], ["chat-volume"])).toMatchObject([{ status: "ok" }]);
});

it("judgeAlarms reports a firing alarm with its meaning, first command and runbook", () => {
  expect(judgeAlarms([{ ...alarm, state: "ALARM" }], ["api-5xx"])).toEqual([
    {
      name: "alarm api-5xx",
      status: "warning",
      seen: "fires now: The API fails.",
      todo: "npm run doctor -- --stack dev Runbook: docs/operations.md#api-5xx",
    },
  ]);
});

it("judgeAlarms gives the status failed to a firing alarm that pages", () => {
  const paging = { ...alarm, state: "ALARM", description: `PAGE: ${alarm.description}` };
  expect(judgeAlarms([paging], ["api-5xx"])).toMatchObject([{ status: "failed", seen: "fires now: The API fails." }]);
});

describe("judgeAlarms with an alarm that needs data and has none", () => {
  const silent = { ...alarm, name: "poller-silent", state: "INSUFFICIENT_DATA", needsData: true };
  const minutes = (count: number) => count * 60_000;

  it("accepts it in the first minutes of a new stack", () => {
    expect(judgeAlarms([{ ...silent, ageMs: minutes(10) }], ["poller-silent"])).toMatchObject([{ status: "ok" }]);
  });

  it("reports it later, also when it has never had data", () => {
    expect(judgeAlarms([{ ...silent, ageMs: minutes(16) }], ["poller-silent"])).toMatchObject([
      { name: "alarm poller-silent", status: "warning", seen: "gets no data: The API fails." },
    ]);
  });
});

it("judgeAlarms reports missing alarms", () => {
  expect(judgeAlarms([alarm], ["api-5xx", "webhook-lag"])).toMatchObject([
    { name: "alarms", status: "failed", seen: "AWS does not have webhook-lag" },
  ]);
});

it("judgeAlarms reports alarms whose notifications are turned off", () => {
  expect(judgeAlarms([{ ...alarm, areActionsOn: false }], ["api-5xx"])).toMatchObject([
    { name: "alarms", status: "warning", seen: "somebody turned off the messages of api-5xx" },
  ]);
});
