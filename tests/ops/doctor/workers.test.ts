import { expect, it } from "vitest";
import { checkVersion, checkWorkers } from "../../../ops/doctor/workers";
import type { EndpointRecord } from "../../../runpod/client";
import type { Fleet } from "../../../runpod/fleet";

const none: Fleet = {
  version: 3,
  stale: 0,
  ready: 0,
  initializing: 0,
  startingSeconds: undefined,
  throttled: 0,
  unhealthy: 0,
  waitingIds: [],
};

function check(fleet: Partial<Fleet> | undefined, { queued = 0, workersMax = 2, problems = [] as string[] } = {}) {
  const workers = { idle: 0, initializing: 0, ready: 0, running: 0, throttled: 0, unhealthy: 0 };
  const health = { jobs: { inQueue: queued, inProgress: 0 }, workers };
  const seen = { fleet: fleet && { ...none, ...fleet }, problems, health };
  return checkWorkers("phi3", { workersMax } as EndpointRecord, seen);
}

it.each([
  ["nobody at work, nothing to do", check({}), "ok", /scaled to zero/],
  ["nobody at work, and jobs wait", check({}, { queued: 7 }), "failed", /^none, with 7 jobs waiting$/],
  ["nobody may work", check({}, { queued: 7, workersMax: 0 }), "failed", /^none, and workersMax is 0, 7 jobs waiting$/],
  ["one works, another crashes", check({ ready: 1, unhealthy: 1 }), "warning", /1 ready, 1 crashing$/],
  ["one works, another waits for a GPU", check({ ready: 1, throttled: 1 }), "warning", /1 waiting for a GPU$/],
  ["one works, another starts", check({ ready: 1, initializing: 1, startingSeconds: 900 }), "ok", /1 starting$/],
  ["RunPod does not tell", check(undefined), "warning", /does not tell/],
])("%s", (_what, line, status, seen) => {
  expect(line).toMatchObject({ status, seen: expect.stringMatching(seen) });
});

it("without a version it counts the workers all the same", () => {
  const seen = { fleet: { ...none, version: undefined, ready: 2, stale: 1 }, problems: [], health: undefined };
  expect(checkVersion("phi3", seen)).toMatchObject({
    status: "warning",
    seen: "2 of 3 workers on the current version",
  });
});
