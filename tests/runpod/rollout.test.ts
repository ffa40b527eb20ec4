import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { applyRollout } from "../../runpod/rollout";
import type { Workers } from "../../runpod/workers";
import { unfinished } from "./engine";
import type { WorkerState } from "./fakeRunpod";
import { createResource, fakeFixtures } from "./fixture";

const ready: WorkerState = { status: "IDLE", isStale: false };
const stale: WorkerState = { status: "RUNNING", isStale: true };
const starting: WorkerState = { status: "INITIALIZING", isStale: false };
const waiting: WorkerState = { status: "THROTTLED", isStale: false };
const crashing: WorkerState = { status: "UNHEALTHY", isStale: false };

describe.each(["graphql", "rest"] as const)("A rollout through %s", (api) => {
  const fixture = fakeFixtures[api]();

  async function deployed() {
    const { template, templateInputs, endpoint, endpointInputs } = fixture();
    const created = await createResource(template, templateInputs);
    return {
      template: created,
      endpoint: await createResource(endpoint, { ...endpointInputs, templateId: created.id }),
    };
  }

  /**
   * Updates the template to a new image tag. Returns the update's result and the output of the provider process during
   * the update.
   */
  async function rollOut({ template: created }: Awaited<ReturnType<typeof deployed>>) {
    const { engine, template } = fixture();
    const { inputs } = await template.check({ ...created.inputs, imageName: "registry.example/phi3:2026-12-01" });
    const before = engine.output().length;
    const result = await template.update(created.id, created.outs, inputs).catch((error: Error) => error);
    return { inputs, result, output: engine.output().slice(before) };
  }

  it("waits until the workers run the new version, and logs progress", async () => {
    const { runpod } = fixture();
    const created = await deployed();
    runpod.workers.rest = [
      { version: 1, workers: [ready] },
      { version: 2, workers: [stale, starting] },
      { version: 2, workers: [stale, starting] },
      { version: 2, workers: [stale, ready] },
      { version: 2, workers: [ready] },
    ];
    const { inputs, result, output } = await rollOut(created);
    expect(result).toMatchObject({ imageName: inputs.imageName });
    expect(output.trim().split("\n")).toEqual([
      "RunPod endpoint snack-phi3: workers of version 2: 0 ready, 1 of the old version, 1 starting, rollout at 50 % (0 s)",
      "RunPod endpoint snack-phi3: workers of version 2: 1 ready, 1 of the old version, rollout at 50 % (0 s)",
      "RunPod endpoint snack-phi3: workers of version 2: 1 ready. Done.",
    ]);
  });

  it("reads /releases and the workers at each check", async () => {
    const { runpod } = fixture();
    const created = await deployed();
    runpod.workers.rest = [
      { version: 1, workers: [ready] },
      { version: 2, workers: [stale] },
      { version: 2, workers: [stale] },
      { version: 2, workers: [stale, ready] },
      { version: 2, workers: [ready] },
    ];
    const { result } = await rollOut(created);
    expect(result).not.toBeInstanceOf(Error);
    expect(runpod.workers.reads).toEqual([
      ...["releases", "workers", "releases", "workers"],
      ...["releases", "workers", "releases", "workers", "releases", "workers"],
    ]);
  });

  it.each(["THROTTLED", "UNHEALTHY"] as const)(
    "is not done while an old worker is %s, which /releases does not count",
    async (status) => {
      const { runpod } = fixture();
      const created = await deployed();
      runpod.workers.rest = [
        { version: 1, workers: [ready] },
        { version: 2, workers: [{ status, isStale: true }, ready] },
      ];
      const { result } = await rollOut(created);
      expect(String(result)).toContain("1 ready, 1 of the old version). Old workers are still busy");
    },
  );

  it.each([
    ["crashes", crashing, "1 of the old version, 1 crashing"],
    ["waits for a GPU", waiting, "1 of the old version, 1 waiting for a GPU"],
  ])("shows that a new worker %s while an old worker still runs", async (_case, worker, state) => {
    const { runpod } = fixture();
    const created = await deployed();
    runpod.workers.rest = [
      { version: 1, workers: [ready] },
      { version: 2, workers: [stale, worker] },
    ];
    const { result } = await rollOut(created);
    expect(String(result)).toContain(state);
  });

  it("takes the version from /releases once when only the job API returns the workers", async () => {
    const { runpod } = fixture();
    const created = await deployed();
    Object.assign(runpod.workers, {
      hasNoWorkers: true,
      rest: [
        { version: 1, workers: [] },
        { version: 2, workers: [ready] },
      ],
      health: [{ idle: 1 }],
    });
    const { result } = await rollOut(created);
    expect(result).not.toBeInstanceOf(Error);
    expect(runpod.workers.reads).toEqual(Array(2).fill(["releases", "workers", "health"]).flat());
  });

  it("ends at once without output when no worker runs and workersMin is 0", async () => {
    const { result, output } = await rollOut(await deployed());
    expect(result).not.toBeInstanceOf(Error);
    expect(output).toBe("");
  });

  it.each([
    ["crash", [crashing], /1 crashing\)\. Workers crash: read a worker's log/],
    ["wait for a GPU", [waiting], /1 waiting for a GPU\)\. Workers wait for a GPU \(throttled\): allow more GPU pools/],
    ["never start", [starting], /1 starting\)\. Workers are still starting.*runpodRolloutLimitMs/],
    ["of the old version do not stop", [stale], /1 of the old version, rollout at 0 %\)\. Old workers are still busy/],
  ])("fails with a reason and records the new state when the workers %s", async (_case, workers, reason) => {
    const { runpod } = fixture();
    const created = await deployed();
    runpod.workers.rest = [
      { version: 1, workers: [] },
      { version: 2, workers },
    ];
    const { inputs, result } = await rollOut(created);
    expect(unfinished(result)).toEqual({
      id: created.template.id,
      properties: inputs,
      reasons: [expect.stringMatching(reason)],
    });
    expect(runpod.snapshot().endpoints[0]?.image).toBe(inputs.imageName);
  });

  it("fails with the host's log lines when the image cannot be pulled", async () => {
    const { runpod } = fixture();
    const created = await deployed();
    runpod.workers.rest = [
      { version: 1, workers: [] },
      { version: 2, workers: [starting] },
    ];
    runpod.workers.hostLog = ["create container", "error pulling image: no basic auth credentials"];
    const { result } = await rollOut(created);
    expect(String(result)).toMatch(
      /The image cannot be pulled: check its name.*Log of RunPod's host: error pulling image: no basic auth credentials$/,
    );
  });

  it("makes the next update wait again after a failure", async () => {
    const { runpod, template } = fixture();
    const created = await deployed();
    runpod.workers.rest = [{ version: 2, workers: [crashing] }];
    const { inputs, result } = await rollOut(created);
    expect(result).toBeInstanceOf(Error);
    await expect(template.update(created.template.id, inputs, inputs)).rejects.toThrow("Workers crash");
    runpod.workers.rest = [{ version: 2, workers: [ready] }];
    await template.update(created.template.id, inputs, inputs);
  });

  it("does not wait when RunPod does not return the workers' state, and logs this", async () => {
    const { runpod } = fixture();
    const created = await deployed();
    runpod.workers.rest = undefined;
    const { result, output } = await rollOut(created);
    expect(result).not.toBeInstanceOf(Error);
    expect(output).toContain("RunPod does not return the state of the workers, so the program does not wait for them.");
  });

  it("reads the list of workers when REST does not return the releases", async () => {
    const { runpod } = fixture();
    const created = await deployed();
    runpod.workers.hasNoReleases = true;
    runpod.workers.rest = [
      { version: 1, workers: [ready] },
      { version: 2, workers: [stale, starting] },
      { version: 2, workers: [ready] },
    ];
    const { output } = await rollOut(created);
    expect(output.trim().split("\n")).toEqual([
      "RunPod endpoint snack-phi3: workers of version 2: 0 ready, 1 of the old version, 1 starting (0 s)",
      "RunPod endpoint snack-phi3: workers of version 2: 1 ready. Done.",
    ]);
  });

  it("uses the worker counts of the job API when REST does not return the workers", async () => {
    const { runpod } = fixture();
    const created = await deployed();
    runpod.workers.rest = undefined;
    runpod.workers.health = [
      { idle: 1 },
      { initializing: 1 },
      { initializing: 1 },
      { initializing: 1 },
      { idle: 1, ready: 1, throttled: null },
    ];
    const { result, output } = await rollOut(created);
    expect(result).not.toBeInstanceOf(Error);
    expect(output).toMatch(/0 ready, 1 starting/);
    expect(output).toMatch(/: 1 ready\. Done\.$/m);
    runpod.workers.health = [{ unhealthy: 1 }];
    const { endpoint } = fixture();
    const { inputs } = await endpoint.check({ ...created.endpoint.inputs, gpuIds: ["ADA_24"] });
    await expect(endpoint.update(created.endpoint.id, created.endpoint.outs, inputs)).rejects.toThrow("Workers crash");
  });

  it("does not wait when only workersMax or a name changes", async () => {
    const { runpod, endpoint, template } = fixture();
    const created = await deployed();
    runpod.workers.rest = [{ version: 1, workers: [crashing] }];
    const more = await endpoint.check({ ...created.endpoint.inputs, workersMax: 5 });
    await endpoint.update(created.endpoint.id, created.endpoint.outs, more.inputs);
    const renamed = await template.check({ ...created.template.inputs, name: "snack-renamed" });
    await template.update(created.template.id, created.template.outs, renamed.inputs);
  });

  it("also waits after the create of an endpoint with workersMin above 0", async () => {
    const { runpod, template, templateInputs, endpoint, endpointInputs } = fixture();
    const { id: templateId } = await createResource(template, templateInputs);
    runpod.workers.rest = [{ version: 1, workers: [waiting] }];
    const inputs = { ...endpointInputs, templateId, workersMin: 1 };
    const error = await createResource(endpoint, inputs).catch((thrown: Error) => thrown);
    const [{ id } = { id: "" }] = runpod.snapshot().endpoints;
    expect(unfinished(error)).toMatchObject({ id, properties: { workersMin: 1 } });
  });
});

it("A rollout counts the time of slow reads against its limit", async () => {
  vi.spyOn(console, "log").mockImplementation(() => {});
  const oldWorker: Workers = {
    version: 2,
    stale: 1,
    rolloutPercent: undefined,
    ready: 0,
    initializing: 0,
    startingSeconds: undefined,
    throttled: 0,
    unhealthy: 0,
    waitingIds: [],
  };
  const getWorkers = vi.fn(async () => {
    await sleep(20);
    return oldWorker;
  });
  const target = { id: "phi3", name: "snack-phi3", workersMin: 0 };
  const rollout = applyRollout(
    { getWorkers, getHostLog: async () => [], getRunningJobs: async () => 0 },
    { intervalMs: 1, limitMs: 200 },
    [target],
    async () => {},
  );
  await expect(rollout).rejects.toThrow("do not run the new version");
  // Without the time of the reads, the limit allows 200 checks.
  expect(getWorkers.mock.calls.length).toBeLessThan(50);
  vi.restoreAllMocks();
});
