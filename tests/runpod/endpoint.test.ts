import { unknownValue as UNKNOWN } from "@pulumi/pulumi/runtime/rpc";
import { describe, expect, it } from "vitest";
import { createResource, graphqlFixture } from "./fixture";

const fixture = graphqlFixture();

/** Creates a template and its endpoint, as a deployment does. */
async function deployed() {
  const { template, templateInputs, endpoint, endpointInputs } = fixture();
  const created = await createResource(template, templateInputs);
  const properties = { ...endpointInputs, templateId: created.id };
  return { template: created, properties, ...(await createResource(endpoint, properties)) };
}

describe("An endpoint", () => {
  it("is created with a value for every field, even if RunPod has a default", async () => {
    const { runpod } = fixture();
    const { id, template } = await deployed();
    expect([...runpod.endpoints.keys()]).toEqual([id]);
    expect(runpod.calls.findLast(({ operation }) => operation === "saveEndpoint")?.input).toEqual({
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

  it("shows no diff when RunPod or the program reorders its GPUs", async () => {
    const { endpoint } = fixture();
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
  ])("is updated in place for the change %j, and the call contains all fields", async (change, stored) => {
    const { runpod, endpoint } = fixture();
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

  it("shows drift after RunPod has lowered workersMax, and the next update restores workersMax", async () => {
    const { runpod, endpoint } = fixture();
    const { id, inputs, outs } = await deployed();
    const stored = runpod.endpoints.get(id);
    if (stored === undefined) throw new Error("The endpoint does not exist.");
    stored.workersMax = 0;
    const read = await endpoint.read(id, outs);
    expect(read.inputs).toEqual({ ...inputs, workersMax: 0 });
    expect((await endpoint.diff(id, read.outs, inputs)).changes).toBe(true);
    await endpoint.update(id, read.outs, inputs);
    expect(runpod.endpoints.get(id)?.workersMax).toBe(3);
  });

  it("is updated even if the response to the first attempt was lost", async () => {
    const { runpod, endpoint } = fixture();
    const { id, inputs, outs } = await deployed();
    runpod.failNext("saveEndpoint", "lost answer");
    await endpoint.update(id, outs, { ...inputs, workersMax: 5 });
    expect(runpod.endpoints.size).toBe(1);
    expect(runpod.endpoints.get(id)?.workersMax).toBe(5);
  });

  it("is removed from the state by a refresh after somebody has deleted the endpoint at RunPod", async () => {
    const { runpod, endpoint } = fixture();
    const { id, inputs, outs } = await deployed();
    runpod.endpoints.clear();
    expect((await endpoint.read(id, outs)).id).toBe("");
    await expect(endpoint.update(id, outs, inputs)).rejects.toThrow(/no longer exists.*pulumi refresh/);
    await endpoint.delete(id, outs);
  });
});

describe("A create of an endpoint", () => {
  it("creates no duplicate when the response to the first attempt was lost", async () => {
    const { runpod } = fixture();
    runpod.failNext("saveEndpoint", "lost answer");
    const { id } = await deployed();
    expect([...runpod.endpoints.keys()]).toEqual([id]);
  });

  it("adopts the stack's endpoint with the same name and changes its template", async () => {
    const { runpod, template, templateInputs, endpoint } = fixture();
    const first = await deployed();
    const other = await createResource(template, { ...templateInputs, name: "snack-other" });
    const { id } = await createResource(endpoint, { ...first.properties, templateId: other.id });
    expect(id).toBe(first.id);
    expect(runpod.endpoints.get(id)?.templateId).toBe(other.id);
  });

  it("fails when an endpoint of another stack has the same name", async () => {
    const { runpod, template, templateInputs, endpoint } = fixture();
    const first = await deployed();
    const prod = { owner: "snack-misaki/prod" };
    const other = await createResource(template, { ...templateInputs, ...prod, name: "snack-prod" });
    await expect(createResource(endpoint, { ...first.properties, ...prod, templateId: other.id })).rejects.toThrow(
      `RunPod already has an endpoint named "snack-phi3" (${first.id}) that does not belong to snack-misaki/prod.`,
    );
    expect(runpod.endpoints.size).toBe(1);
  });

  it("keeps one of two endpoints with the same name, deletes the other and names both ids", async () => {
    const { runpod, endpoint, engine } = fixture();
    const { id, properties } = await deployed();
    runpod.endpoints.set("twin", { ...runpod.endpoints.get(id), id: "twin", name: "snack-phi3" });
    const kept = await createResource(endpoint, properties);
    expect([...runpod.endpoints.keys()]).toEqual([kept.id]);
    await expect
      .poll(() => engine.output())
      .toContain(
        `RunPod has 2 endpoints named "snack-phi3" of snack-misaki/dev: ${id} and twin. The program keeps ${id} and deletes`,
      );
  });
});

describe("A second endpoint with the same name, owner and template", () => {
  async function twins() {
    const created = await deployed();
    const { runpod } = fixture();
    runpod.endpoints.set("twin", { ...runpod.endpoints.get(created.id), id: "twin", name: "snack-phi3" });
    return created;
  }

  it("shows in a preview without a refresh, and an update deletes it", async () => {
    const { runpod, endpoint } = fixture();
    const { id, outs, inputs } = await twins();
    expect((await endpoint.diff(id, outs, inputs)).changes).toBe(true);
    await endpoint.update(id, outs, inputs);
    expect([...runpod.endpoints.keys()]).toEqual([id]);
    expect((await endpoint.diff(id, outs, inputs)).changes).toBe(false);
  });

  it("shows in a refresh", async () => {
    const { endpoint } = fixture();
    const { id, outs } = await twins();
    expect((await endpoint.read(id, outs)).outs.duplicateIds).toEqual(["twin"]);
  });

  it("shows as a change after a refresh has found it and another update has deleted it", async () => {
    const { runpod, endpoint } = fixture();
    const { id, outs, inputs } = await twins();
    const refreshed = (await endpoint.read(id, outs)).outs;
    runpod.endpoints.delete("twin");
    expect((await endpoint.diff(id, refreshed, inputs)).changes).toBe(true);
    const updated = await endpoint.update(id, refreshed, inputs);
    expect((await endpoint.diff(id, updated, inputs)).changes).toBe(false);
  });

  it("is deleted together with the endpoint", async () => {
    const { runpod, endpoint } = fixture();
    const { id, outs } = await twins();
    await endpoint.delete(id, outs);
    expect(runpod.endpoints.size).toBe(0);
  });

  it("is deleted together with the template when the endpoint's delete did not find the duplicate", async () => {
    const { runpod, template, endpoint } = fixture();
    const created = await deployed();
    const { id, outs } = created;
    const late = { ...runpod.endpoints.get(id), id: "late", name: "snack-phi3" };
    await endpoint.delete(id, outs);
    runpod.endpoints.set("late", late);
    await template.delete(created.template.id, created.template.outs);
    expect(runpod.endpoints.size + runpod.templates.size).toBe(0);
  });

  it("is not deleted if it belongs to another stack", async () => {
    const { runpod, template, templateInputs, endpoint } = fixture();
    const { id, outs } = await deployed();
    const prod = { owner: "snack-misaki/prod", name: "snack-prod" };
    const other = await createResource(template, { ...templateInputs, ...prod });
    runpod.endpoints.set("prod", { ...runpod.endpoints.get(id), id: "prod", name: "snack-phi3", templateId: other.id });
    await endpoint.delete(id, outs);
    expect([...runpod.endpoints.keys()]).toEqual(["prod"]);
  });
});

describe("An endpoint whose workersMax RunPod has lowered after idle days", () => {
  it.each([2, 0])(
    "shows in a preview without a refresh, and an update restores workersMax from %i",
    async (lowered) => {
      const { runpod, endpoint, engine } = fixture();
      const { id, outs, inputs } = await deployed();
      runpod.setWorkersMax(id, lowered);
      expect((await endpoint.diff(id, outs, inputs)).changes).toBe(true);
      await expect
        .poll(() => engine.output())
        .toContain(`RunPod has lowered workersMax of endpoint "snack-phi3" (${id}) to ${lowered}`);
      await endpoint.update(id, outs, inputs);
      expect(runpod.snapshot().endpoints).toMatchObject([{ id, workersMax: 3 }]);
    },
  );
});

describe("A create with an empty field", () => {
  it.each(["locations", "minCudaVersion", "modelReferences"])(
    "succeeds without %s when RunPod refuses null, and logs the missing field",
    async (field) => {
      const { runpod, engine } = fixture();
      const reason = `Variable "$input" got invalid value null at "input.${field}"; Expected a value.`;
      runpod.failNext("saveEndpoint", { message: reason });
      const { id } = await deployed();
      expect(runpod.calls.findLast(({ operation }) => operation === "saveEndpoint")?.input).not.toHaveProperty(field);
      expect([...runpod.endpoints.keys()]).toEqual([id]);
      await expect
        .poll(() => engine.output())
        .toContain(`RunPod refuses ${field}: null, so the program leaves this field out.`);
    },
  );
});

describe("A delete of an endpoint", () => {
  it("scales the endpoint to zero workers first, and then the template can be deleted too", async () => {
    const { runpod, template, endpoint } = fixture();
    const created = await deployed();
    await endpoint.delete(created.id, created.outs);
    await template.delete(created.template.id, created.template.outs);
    expect(runpod.endpoints.size + runpod.templates.size).toBe(0);
  });

  it("waits until the workers run no job, so that no customer loses a reply, and logs progress", async () => {
    const { runpod, endpoint, engine } = fixture();
    const { id, outs } = await deployed();
    Object.assign(runpod.workers, { health: [{ running: 1 }], runningJobs: [2, 2, 1, 0] });
    await endpoint.delete(id, outs);
    expect(runpod.endpoints.size).toBe(0);
    expect(runpod.workers.reads).toEqual(Array(4).fill("health"));
    await expect.poll(() => engine.output()).toMatch(/because jobs run \(2\)\.\n.*because jobs run \(1\)\.\n/);
  });

  it("ends jobs that still run after runpodRolloutLimitMs", async () => {
    const { runpod, endpoint, engine } = fixture();
    const { id, outs } = await deployed();
    Object.assign(runpod.workers, { health: [{ running: 1 }], runningJobs: [1] });
    await endpoint.delete(id, outs);
    expect(runpod.endpoints.size).toBe(0);
    await expect.poll(() => engine.output()).toContain("jobs still run after 0.2 s. The delete ends them.");
  });

  it("succeeds even if the response to the first attempt was lost", async () => {
    const { runpod, endpoint } = fixture();
    const { id, outs } = await deployed();
    runpod.failNext("deleteEndpoint", "lost answer");
    await endpoint.delete(id, outs);
    expect(runpod.endpoints.size).toBe(0);
  });

  it.each([
    ["because the worker counts are not 0", "workersMin and workersMax must both be 0."],
    ["with an unknown error text", "Not now."],
  ])("is retried when RunPod refuses the delete %s", async (_, message) => {
    const { runpod, endpoint } = fixture();
    const { id, outs } = await deployed();
    runpod.failNext("deleteEndpoint", { message });
    await endpoint.delete(id, outs);
    expect(runpod.endpoints.size).toBe(0);
  });

  it("fails without a retry when the key lacks the permission", async () => {
    const { runpod, endpoint } = fixture();
    const { id, outs } = await deployed();
    runpod.failNext("deleteEndpoint", { message: "Unauthorized" });
    await expect(endpoint.delete(id, outs)).rejects.toThrow("RunPod refused deleteEndpoint: the API key");
    expect(runpod.count("deleteEndpoint")).toBe(1);
  });
});

describe("The inputs of an endpoint", () => {
  it("may be unknown during preview", async () => {
    const { endpoint } = fixture();
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

  it("are checked even if another input is unknown", async () => {
    const { endpoint, endpointInputs } = fixture();
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
  ])("are rejected when they contain %j", async (bad, properties, reason) => {
    const { endpoint, endpointInputs } = fixture();
    const { failures } = await endpoint.check({ ...endpointInputs, ...bad });
    expect(failures.map(({ property }) => property)).toEqual(properties);
    expect(failures[0]?.reason).toEqual(typeof reason === "string" ? reason : expect.stringMatching(reason));
  });
});
