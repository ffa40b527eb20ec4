import { describe, expect, it } from "vitest";
import { unfinished } from "./engine";
import type { WorkerState } from "./plane";
import { bothApis, make } from "./stage";

const ready: WorkerState = { status: "IDLE", isStale: false };
const stale: WorkerState = { status: "RUNNING", isStale: true };
const starting: WorkerState = { status: "INITIALIZING", isStale: false };
const waiting: WorkerState = { status: "THROTTLED", isStale: false };
const crashing: WorkerState = { status: "UNHEALTHY", isStale: false };

describe.each(["graphql", "rest"] as const)("a rollout through %s", (api) => {
  const on = bothApis[api]();

  async function deployed() {
    const { template, templateInputs, endpoint, endpointInputs } = on();
    const made = await make(template, templateInputs);
    return { template: made, endpoint: await make(endpoint, { ...endpointInputs, templateId: made.id }) };
  }

  /** A new tag for the template, with what was written meanwhile. */
  async function bump({ template: made }: Awaited<ReturnType<typeof deployed>>) {
    const { engine, template } = on();
    const { inputs } = await template.check({ ...made.inputs, imageName: "registry.example/phi3:2026-12-01" });
    const before = engine.output().length;
    const result = await template.update(made.id, made.outs, inputs).catch((error: Error) => error);
    return { inputs, result, output: engine.output().slice(before) };
  }

  it("is waited for, with lines of progress, until workers of the new version are there", async () => {
    const { runpod } = on();
    const made = await deployed();
    runpod.workers.rest = [
      { version: 1, workers: [ready] },
      { version: 2, workers: [stale, starting] },
      { version: 2, workers: [stale, starting] },
      { version: 2, workers: [stale, ready] },
      { version: 2, workers: [ready] },
    ];
    const { inputs, result, output } = await bump(made);
    expect(result).toMatchObject({ imageName: inputs.imageName });
    expect(output.trim().split("\n")).toEqual([
      "RunPod endpoint snack-phi3: workers of version 2: 0 ready, 1 of the old version, 1 starting (0 s)",
      "RunPod endpoint snack-phi3: workers of version 2: 1 ready, 1 of the old version (0 s)",
      "RunPod endpoint snack-phi3: workers of version 2: 1 ready. Done.",
    ]);
  });

  it("is done at once, and silently, where no worker runs and none is needed", async () => {
    const { result, output } = await bump(await deployed());
    expect(result).not.toBeInstanceOf(Error);
    expect(output).toBe("");
  });

  it.each([
    ["crash", [crashing], /1 crashing\)\. They crash: read a worker's log/],
    ["wait for a GPU", [waiting], /1 waiting for a GPU\)\. They wait for a GPU \(throttled\): name more GPU pools/],
    ["never start", [starting], /1 starting\)\. They are still starting.*runpodRolloutLimitMs/],
    ["do not end", [stale], /1 of the old version\)\. Old workers are still busy/],
  ])("whose workers %s says so, and the new state is kept", async (_what, workers, reason) => {
    const { runpod } = on();
    const made = await deployed();
    runpod.workers.rest = [
      { version: 1, workers: [] },
      { version: 2, workers },
    ];
    const { inputs, result } = await bump(made);
    expect(unfinished(result)).toEqual({
      id: made.template.id,
      properties: inputs,
      reasons: [expect.stringMatching(reason)],
    });
    expect(runpod.seen().endpoints[0]?.image).toBe(inputs.imageName);
  });

  it("whose image cannot be pulled says so in the words of the host", async () => {
    const { runpod } = on();
    const made = await deployed();
    runpod.workers.rest = [
      { version: 1, workers: [] },
      { version: 2, workers: [starting] },
    ];
    runpod.workers.hostLog = ["create container", "error pulling image: no basic auth credentials"];
    const { result } = await bump(made);
    expect(String(result)).toMatch(
      /The image cannot be pulled: check its name.*RunPod's host says: error pulling image: no basic auth credentials$/,
    );
  });

  it("that failed is gone through again by the next update, though nothing differs", async () => {
    const { runpod, template } = on();
    const made = await deployed();
    runpod.workers.rest = [{ version: 2, workers: [crashing] }];
    const { inputs, result } = await bump(made);
    expect(result).toBeInstanceOf(Error);
    await expect(template.update(made.template.id, inputs, inputs)).rejects.toThrow("They crash");
    runpod.workers.rest = [{ version: 2, workers: [ready] }];
    await template.update(made.template.id, inputs, inputs);
  });

  it("that nobody can see is not waited for, and that is said", async () => {
    const { runpod } = on();
    const made = await deployed();
    runpod.workers.rest = undefined;
    const { result, output } = await bump(made);
    expect(result).not.toBeInstanceOf(Error);
    expect(output).toContain("RunPod does not tell how its workers are; not waiting for them.");
  });

  it("is seen by the job API's counts where REST cannot be reached", async () => {
    const { runpod } = on();
    const made = await deployed();
    runpod.workers.rest = undefined;
    runpod.workers.health = [
      { idle: 1 },
      { initializing: 1 },
      { initializing: 1 },
      { initializing: 1 },
      { idle: 1, ready: 1, throttled: null },
    ];
    const { result, output } = await bump(made);
    expect(result).not.toBeInstanceOf(Error);
    expect(output).toMatch(/0 ready, 1 starting/);
    expect(output).toMatch(/: 1 ready\. Done\.$/m);
    runpod.workers.health = [{ unhealthy: 1 }];
    const { endpoint } = on();
    const { inputs } = await endpoint.check({ ...made.endpoint.inputs, gpuIds: ["ADA_24"] });
    await expect(endpoint.update(made.endpoint.id, made.endpoint.outs, inputs)).rejects.toThrow("They crash");
  });

  it("is not waited for when a change does not roll: more workers, another name", async () => {
    const { runpod, endpoint, template } = on();
    const made = await deployed();
    runpod.workers.rest = [{ version: 1, workers: [crashing] }];
    const more = await endpoint.check({ ...made.endpoint.inputs, workersMax: 5 });
    await endpoint.update(made.endpoint.id, made.endpoint.outs, more.inputs);
    const renamed = await template.check({ ...made.template.inputs, name: "snack-renamed" });
    await template.update(made.template.id, made.template.outs, renamed.inputs);
  });

  it("of an endpoint that always has workers is waited for when it is made", async () => {
    const { runpod, template, templateInputs, endpoint, endpointInputs } = on();
    const { id: templateId } = await make(template, templateInputs);
    runpod.workers.rest = [{ version: 1, workers: [waiting] }];
    const inputs = { ...endpointInputs, templateId, workersMin: 1 };
    const error = await make(endpoint, inputs).catch((thrown: Error) => thrown);
    const [{ id } = { id: "" }] = runpod.seen().endpoints;
    expect(unfinished(error)).toMatchObject({ id, properties: { workersMin: 1 } });
  });
});
