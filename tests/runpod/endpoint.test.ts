import { unknownValue as UNKNOWN } from "@pulumi/pulumi/runtime/rpc";
import { describe, expect, it } from "vitest";
import { make, stage } from "./stage";

const on = stage();

/** A template and its endpoint, as a deployment makes them. */
async function deployed() {
  const { template, templateInputs, endpoint, endpointInputs } = on();
  const made = await make(template, templateInputs);
  const properties = { ...endpointInputs, templateId: made.id };
  return { template: made, properties, ...(await make(endpoint, properties)) };
}

describe("an endpoint", () => {
  it("is created with every field RunPod would otherwise choose by itself", async () => {
    const { runpod } = on();
    const { id, template } = await deployed();
    expect([...runpod.endpoints.keys()]).toEqual([id]);
    expect(runpod.calls.at(-1)?.input).toEqual({
      name: "snack-phi3",
      templateId: template.id,
      gpuIds: "AMPERE_16,AMPERE_24,-NVIDIA L4",
      gpuCount: 1,
      workersMin: 0,
      workersMax: 3,
      idleTimeout: 30,
      scalerType: "QUEUE_DELAY",
      scalerValue: 4,
      executionTimeoutMs: 120_000,
      flashBootType: "OFF",
      locations: null,
      minCudaVersion: null,
      modelReferences: null,
      type: "QB",
    });
  });

  it("shows no change after RunPod has reordered its GPUs, nor when the program does", async () => {
    const { endpoint } = on();
    const { id, inputs, outs } = await deployed();
    const read = await endpoint.read(id, outs);
    expect(read.outs).toEqual(outs);
    expect(read.inputs).toEqual(inputs);
    const reordered = { ...inputs, gpuIds: ["AMPERE_24", "-NVIDIA L4", "AMPERE_16", "AMPERE_24"], locations: [] };
    expect(await endpoint.diff(id, read.outs, reordered)).toEqual({ changes: false, replaces: [] });
  });

  it.each([
    [{ name: "snack-renamed" }, { name: "snack-renamed" }],
    [{ gpuIds: ["ADA_24"] }, { gpuIds: "ADA_24" }],
    [{ workersMax: 5 }, { workersMax: 5 }],
    [{ locations: ["EU-RO-1", "US-KS-2"] }, { locations: "EU-RO-1,US-KS-2" }],
    [
      { flashBootType: "FLASHBOOT", minCudaVersion: "12.8" },
      { flashBootType: "FLASHBOOT", minCudaVersion: "12.8" },
    ],
  ])("takes %j in place, sending everything else again", async (change, stored) => {
    const { runpod, endpoint } = on();
    const { id, outs, properties, template } = await deployed();
    const { inputs } = await endpoint.check({ ...properties, ...change });
    expect(await endpoint.diff(id, outs, inputs)).toEqual({ changes: true, replaces: [] });
    await endpoint.update(id, outs, inputs);
    expect(runpod.endpoints.size).toBe(1);
    expect(runpod.endpoints.get(id)).toMatchObject({
      templateId: template.id,
      idleTimeout: 30,
      scalerValue: 4,
      executionTimeoutMs: 120_000,
      ...stored,
    });
    expect((await endpoint.diff(id, (await endpoint.read(id, inputs)).outs, inputs)).changes).toBe(false);
  });

  it("shows the workers RunPod took away after idle days, and the next update restores them", async () => {
    const { runpod, endpoint } = on();
    const { id, inputs, outs } = await deployed();
    const stored = runpod.endpoints.get(id);
    if (stored === undefined) throw new Error("not stored");
    stored.workersMax = 0;
    const read = await endpoint.read(id, outs);
    expect(read.inputs).toEqual({ ...inputs, workersMax: 0 });
    expect((await endpoint.diff(id, read.outs, inputs)).changes).toBe(true);
    await endpoint.update(id, read.outs, inputs);
    expect(runpod.endpoints.get(id)?.workersMax).toBe(3);
  });

  it("repeats an update whose answer was lost", async () => {
    const { runpod, endpoint } = on();
    const { id, inputs, outs } = await deployed();
    runpod.failNext("saveEndpoint", "lost answer");
    await endpoint.update(id, outs, { ...inputs, workersMax: 5 });
    expect(runpod.endpoints.size).toBe(1);
    expect(runpod.endpoints.get(id)?.workersMax).toBe(5);
  });

  it("is gone for Pulumi when it is gone from RunPod, and an update then says what to do", async () => {
    const { runpod, endpoint } = on();
    const { id, inputs, outs } = await deployed();
    runpod.endpoints.clear();
    expect((await endpoint.read(id, outs)).id).toBe("");
    await expect(endpoint.update(id, outs, inputs)).rejects.toThrow(/gone from RunPod.*pulumi refresh/);
    await endpoint.delete(id, outs);
  });
});

describe("a create whose outcome is not known", () => {
  it("adopts what the lost answer told of, though RunPod would allow the name twice", async () => {
    const { runpod } = on();
    runpod.failNext("saveEndpoint", "lost answer");
    const { id } = await deployed();
    expect([...runpod.endpoints.keys()]).toEqual([id]);
  });

  it("adopts an endpoint that runs another template of this stack", async () => {
    const { runpod, template, templateInputs, endpoint } = on();
    const first = await deployed();
    const other = await make(template, { ...templateInputs, name: "snack-other" });
    const { id } = await make(endpoint, { ...first.properties, templateId: other.id });
    expect(id).toBe(first.id);
    expect(runpod.endpoints.get(id)?.templateId).toBe(other.id);
  });

  it("refuses an endpoint of the same name that runs somebody else's template", async () => {
    const { runpod, template, templateInputs, endpoint } = on();
    const first = await deployed();
    const prod = { owner: "snack-misaki/prod" };
    const other = await make(template, { ...templateInputs, ...prod, name: "snack-prod" });
    await expect(make(endpoint, { ...first.properties, ...prod, templateId: other.id })).rejects.toThrow(
      `RunPod already has an endpoint named "snack-phi3" (${first.id}) that snack-misaki/prod did not make.`,
    );
    expect(runpod.endpoints.size).toBe(1);
  });

  it("refuses to choose between two of its own", async () => {
    const { runpod, endpoint } = on();
    const { id, properties } = await deployed();
    runpod.endpoints.set("twin", { ...runpod.endpoints.get(id), id: "twin", name: "snack-phi3" });
    await expect(make(endpoint, properties)).rejects.toThrow(/2 endpoints named "snack-phi3".*Delete all but one/);
  });
});

describe("deleting", () => {
  it("scales an endpoint to zero first, then lets the template go", async () => {
    const { runpod, template, endpoint } = on();
    const made = await deployed();
    await expect(template.delete(made.template.id, made.template.outs)).rejects.toThrow("Template is in use.");
    await endpoint.delete(made.id, made.outs);
    await template.delete(made.template.id, made.template.outs);
    expect(runpod.endpoints.size + runpod.templates.size).toBe(0);
  });

  it("is done when an answer is lost and the endpoint is gone", async () => {
    const { runpod, endpoint } = on();
    const { id, outs } = await deployed();
    runpod.failNext("deleteEndpoint", "lost answer");
    await endpoint.delete(id, outs);
    expect(runpod.endpoints.size).toBe(0);
  });

  it("waits while workers are still there", async () => {
    const { runpod, endpoint } = on();
    const { id, outs } = await deployed();
    runpod.failNext("deleteEndpoint", { message: "workersMin and workersMax must both be 0." });
    await endpoint.delete(id, outs);
    expect(runpod.endpoints.size).toBe(0);
  });

  it.each([
    ["Unauthorized", "RunPod refused deleteEndpoint: the API key"],
    ["Your worker concurrency cannot go beyond the maximum limit of (10).", "cannot go beyond the maximum limit"],
    ["A worker is attached to another account.", "attached to another account"],
  ])("reports any other refusal at once: %s", async (message, reason) => {
    const { runpod, endpoint } = on();
    const { id, outs } = await deployed();
    runpod.failNext("deleteEndpoint", { message });
    await expect(endpoint.delete(id, outs)).rejects.toThrow(reason);
    expect(runpod.count("deleteEndpoint")).toBe(1);
  });
});

describe("an endpoint's inputs", () => {
  it("may be unknown during preview", async () => {
    const { endpoint } = on();
    const { id, outs, properties } = await deployed();
    for (const unknown of [
      { templateId: UNKNOWN },
      { gpuIds: UNKNOWN },
      { gpuIds: [UNKNOWN] },
      { workersMin: UNKNOWN },
      { scalerType: UNKNOWN },
    ]) {
      const checked = await endpoint.check({ ...properties, ...unknown });
      expect(checked.failures).toEqual([]);
      expect(checked.inputs).toMatchObject(unknown);
      expect((await endpoint.diff(id, outs, checked.inputs)).changes).toBe(true);
    }
  });

  it("are still checked beside an unknown one", async () => {
    const { endpoint, endpointInputs } = on();
    const { failures } = await endpoint.check({ ...endpointInputs, templateId: UNKNOWN, idleTimeoutSeconds: 0 });
    expect(failures).toEqual([
      { property: "idleTimeoutSeconds", reason: "must be a whole number from 1 to 3600, got 0" },
    ]);
  });

  it.each([
    [{ gpuIds: ["RTX_4090"] }, ["gpuIds.0"], /AMPERE_16, .*BLACKWELL_180/],
    [{ gpuIds: [] }, ["gpuIds"], /at least one GPU pool/],
    [{ gpuIds: ["-NVIDIA L4"] }, ["gpuIds"], /at least one GPU pool/],
    [{ workersMin: 4 }, ["workersMin"], "must be at most workersMax (3), got 4"],
    [{ workersMax: 1.5 }, ["workersMax"], /whole number/],
    [{ idleTimeoutSeconds: 3601 }, ["idleTimeoutSeconds"], /from 1 to 3600, got 3601/],
    [{ executionTimeoutMs: 0 }, ["executionTimeoutMs"], /from 5000 to 604800000/],
    [{ scalerType: "MAGIC" }, ["scalerType"], /QUEUE_DELAY or REQUEST_COUNT, got "MAGIC"/],
    [{ flashBootType: "ON" }, ["flashBootType"], /OFF, FLASHBOOT or PRIORITY_FLASHBOOT/],
    [{ locations: ["Tokyo"] }, ["locations.0"], /a data centre or country/],
    [{ minCudaVersion: "12" }, ["minCudaVersion"], /a CUDA version/],
    [{ name: "ab" }, ["name"], /3 to 191 characters/],
  ])("are refused: %j", async (bad, properties, reason) => {
    const { endpoint, endpointInputs } = on();
    const { failures } = await endpoint.check({ ...endpointInputs, ...bad });
    expect(failures.map(({ property }) => property)).toEqual(properties);
    expect(failures[0]?.reason).toEqual(typeof reason === "string" ? reason : expect.stringMatching(reason));
  });
});
