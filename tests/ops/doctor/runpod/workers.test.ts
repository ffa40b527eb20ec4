import { expect, it } from "vitest";
import { checkVersion, checkWorkers } from "../../../../ops/doctor/runpod/workers";
import type { EndpointRecord } from "../../../../runpod/client";
import type { Workers } from "../../../../runpod/workers";

const noWorkers: Workers = {
  version: 3,
  stale: 0,
  rolloutPercent: undefined,
  ready: 0,
  initializing: 0,
  startingSeconds: undefined,
  throttled: 0,
  unhealthy: 0,
  waitingIds: [],
};

function check(workers: Partial<Workers> | undefined, { queued = 0, workersMax = 2, problems = [] as string[] } = {}) {
  const counts = { idle: 0, initializing: 0, ready: 0, running: 0, throttled: 0, unhealthy: 0 };
  const health = { jobs: { inQueue: queued, inProgress: 0, failed: 0 }, workers: counts };
  const seen = { workers: workers && { ...noWorkers, ...workers }, problems, health };
  return checkWorkers("phi3", { workersMax } as EndpointRecord, seen);
}

it.each([
  ["no worker and no job", check({}), "ok", /scaled to zero/],
  ["no worker and waiting jobs", check({}, { queued: 7 }), "failed", /^none, with 7 jobs waiting$/],
  [
    "workersMax 0 and waiting jobs",
    check({}, { queued: 7, workersMax: 0 }),
    "failed",
    /^none, and workersMax is 0, 7 jobs waiting$/,
  ],
  ["one worker ready, one crashing", check({ ready: 1, unhealthy: 1 }), "warning", /1 ready, 1 crashing$/],
  ["one worker ready, one waiting for a GPU", check({ ready: 1, throttled: 1 }), "warning", /1 waiting for a GPU$/],
  ["one worker ready, one starting", check({ ready: 1, initializing: 1, startingSeconds: 900 }), "ok", /1 starting$/],
  ["no workers returned by RunPod", check(undefined), "unknown", /did not return their state/],
])("checkWorkers reports %s", (_what, line, status, seen) => {
  expect(line).toMatchObject({ status, seen: expect.stringMatching(seen) });
});

it("checkVersion shows the progress of RunPod's rollout", () => {
  const workers = { ...noWorkers, ready: 1, stale: 2, rolloutPercent: 33 };
  expect(checkVersion("phi3", { workers, problems: [], health: undefined })).toMatchObject({
    status: "warning",
    seen: "1 of 3 workers on version 3, rollout at 33 %",
  });
});

it("checkVersion counts stale workers when the current version is unknown", () => {
  const seen = { workers: { ...noWorkers, version: undefined, ready: 2, stale: 1 }, problems: [], health: undefined };
  expect(checkVersion("phi3", seen)).toMatchObject({
    status: "warning",
    seen: "2 of 3 workers on the current version",
  });
});
