import { describe, expect, it } from "vitest";
import type { Candidate } from "../../../functions/core/canary/candidate";
import { firstState, noteChange, noteHealth, stateOf } from "../../../functions/core/canary/state";

const AT = "2026-12-01T00:00:00.000Z";
const candidate: Candidate = {
  image: "2",
  url: "https://api.runpod.ai/v2/ep2",
  share: 5,
  testers: [],
  isReady: true,
};
const override = { share: 0, isAborted: false, replaces: 5, by: "verdict", reason: "Bad.", at: AT } as const;
const health = (workers: object, inQueue = 1) => ({
  jobs: { inQueue, failed: 0 },
  workers: { idle: 0, initializing: 0, running: 0, throttled: 0, unhealthy: 0, ready: 0, ...workers },
});

describe("The state of a candidate", () => {
  it("starts with an event, and keeps the events of an earlier candidate", () => {
    const earlier = firstState({ ...candidate, image: "1" }, [], AT);
    const state = firstState(candidate, earlier.events, AT);
    expect(state.events.map(({ reason }) => reason)).toEqual(["The candidate is 2.", "The candidate is 1."]);
  });

  it.each([{ image: "3" }, { url: "https://api.runpod.ai/v2/ep3" }])(
    "does not belong to a candidate with %j",
    (other) => {
      const state = firstState(candidate, [], AT);
      expect(stateOf(candidate, state)).toBe(state);
      expect(stateOf({ ...candidate, ...other }, state)).toBeUndefined();
    },
  );

  it("gets one event for each change of the share in force, and none without a change", () => {
    const noted = noteChange(firstState(candidate, [], AT), candidate, AT);
    expect(noted.events[0]).toMatchObject({ by: "configuration", from: 0, to: 5 });
    expect(noteChange(noted, candidate, AT)).toBe(noted);
    const raised = noteChange(noted, { ...candidate, override: { ...override, share: 25, by: "operator" } }, AT);
    expect(raised.events[0]).toMatchObject({ by: "operator", from: 5, to: 25, reason: "Bad." });
    expect(raised.unsent).toBeUndefined();
  });

  it("gets an event for an abort that leaves the share at 0", () => {
    const rolledBack = noteChange(firstState(candidate, [], AT), { ...candidate, override }, AT);
    const aborted = { ...override, isAborted: true, by: "operator", at: "2026-12-01T00:01:00.000Z" } as const;
    expect(noteChange(rolledBack, { ...candidate, override: aborted }, AT).events[0]).toMatchObject({
      by: "operator",
      from: 0,
      to: 0,
    });
  });

  it("has an unsent message after a rollback", () => {
    const state = noteChange(firstState(candidate, [], AT), { ...candidate, override }, AT);
    expect(state.unsent).toEqual(state.events[0]);
  });

  it("keeps the newest 50 events", () => {
    let state = firstState(candidate, [], AT);
    for (let share = 1; share <= 60; share++) state = noteChange(state, { ...candidate, share }, AT);
    expect(state.events).toHaveLength(50);
    expect(state.events[0]?.to).toBe(60);
  });

  it("counts the minutes of a crash loop and of no capacity in a row", () => {
    let state = firstState(candidate, [], AT);
    for (let minute = 0; minute < 3; minute++) state = noteHealth(state, health({ unhealthy: 1 }));
    expect(state.minutes).toEqual({ crashLoop: 3, noCapacity: 0 });
    state = noteHealth(state, health({}));
    expect(state.minutes).toEqual({ crashLoop: 0, noCapacity: 1 });
    expect(noteHealth(state, health({ running: 1 })).minutes).toEqual({ crashLoop: 0, noCapacity: 0 });
  });

  it("counts a minute in which all workers wait for a GPU as one of no capacity", () => {
    const minutesWith = (workers: object) => noteHealth(firstState(candidate, [], AT), health(workers)).minutes;
    expect(minutesWith({ throttled: 1 })).toEqual({ crashLoop: 0, noCapacity: 1 });
    expect(minutesWith({ throttled: 1, running: 1 })).toEqual({ crashLoop: 0, noCapacity: 0 });
    expect(minutesWith({ throttled: 1, idle: 1 })).toEqual({ crashLoop: 0, noCapacity: 0 });
  });

  it("starts to count again after a minute without an answer of RunPod", () => {
    const bad = noteHealth(firstState(candidate, [], AT), health({ unhealthy: 1 }));
    const unknown = noteHealth(bad, undefined);
    expect(unknown.minutes).toEqual({ crashLoop: 0, noCapacity: 0 });
    expect(unknown.workers).toBeUndefined();
  });
});
