import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ACCOUNT_KEY, PHI3_KEY, RunpodFixture, restEndpoint } from "./fixture";

// Source: RunPod's OpenAPI document of REST v2 (docs, api-reference-v2/openapi.json). If the real service differs,
// these tests follow RunPod's migration skill (runpod-plugins-official, 2026-08-18).

let runpod: RunpodFixture;
beforeEach(async () => {
  runpod = new RunpodFixture();
  await runpod.start();
});
afterEach(() => runpod.dispose());

const create = (body: object = {}) => runpod.restJson("POST /serverless", { ...restEndpoint, ...body });
const template = { name: "phi3-template", image: "registry.example/phi3:1.0.0", disk: 20, serverless: true };

describe("REST v2 endpoints", () => {
  it("return default values and the request URLs when created", async () => {
    const { workers, timeout, ...minimal } = restEndpoint;
    const created = await runpod.restJson("POST /serverless", minimal);
    const base = `${runpod.jobApiUrl}/${created.id}`;
    expect(created).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{14}$/),
      name: "phi3",
      type: "QUEUE",
      requestUrls: {
        run: `${base}/run`,
        runSync: `${base}/runsync`,
        status: `${base}/status/{job_id}`,
        stream: `${base}/stream/{job_id}`,
        cancel: `${base}/cancel/{job_id}`,
        retry: `${base}/retry/{job_id}`,
        purgeQueue: `${base}/purge-queue`,
        health: `${base}/health`,
      },
      image: restEndpoint.image,
      args: "",
      disk: 20,
      ports: [],
      env: {},
      registry: null,
      gpu: { pools: ["AMPERE_16"], count: 1, allowedCudaVersions: [], minCudaVersion: null },
      workers: { min: 0, max: 3, idleTimeout: 10 },
      scaling: { type: "QUEUE_DELAY", queueDelay: 4 },
      dataCenterIds: [],
      networkVolumes: [],
      // RunPod's document says 300000, but the real service returns 0.
      timeout: 0,
      // RunPod's console turns flashboot on by default, but the API does not.
      flashboot: "OFF",
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    });
    expect(await runpod.restJson(`GET /serverless/${created.id}`)).toEqual(created);
    expect(await runpod.restJson("GET /serverless")).toMatchObject({ endpoints: [created] });
  });

  it("accept jobs right after their creation", async () => {
    const { id } = await create();
    const { id: job } = await runpod.json(`${id}/run`, { input: { text: "x" } });
    expect((await runpod.worker.next()).id).toBe(job);
  });

  it("keep the fields that are missing in a PATCH and replace env as a whole", async () => {
    const before = await create({ env: { A: "1", B: "2" } });
    const after = await runpod.restJson(`PATCH /serverless/${before.id}`, {
      name: "renamed",
      workers: { max: 1 },
      env: { A: "3" },
      flashboot: "FLASHBOOT",
      dataCenterIds: ["EU-RO-1"],
    });
    expect(after).toEqual({
      ...before,
      name: "renamed",
      workers: { ...before.workers, max: 1 },
      env: { A: "3" },
      flashboot: "FLASHBOOT",
      dataCenterIds: ["EU-RO-1"],
    });
    expect(await runpod.restJson(`PATCH /serverless/${before.id}`, {})).toEqual(after);
  });

  it("copy their template at creation and ignore later changes of the template", async () => {
    const { id: templateId } = await runpod.restJson("POST /templates", { ...template, env: { A: "1", B: "2" } });
    const { image, ...rest } = restEndpoint;
    const { id } = await runpod.restJson("POST /serverless", { ...rest, templateId, env: { B: "3" }, disk: 30 });
    const shown = { image, disk: 30, env: { A: "1", B: "3" } };
    expect(await runpod.restJson(`GET /serverless/${id}`)).toMatchObject(shown);
    await runpod.restJson(`PATCH /templates/${templateId}`, { image: "registry.example/phi3:2.0.0", env: {} });
    expect(await runpod.restJson(`GET /serverless/${id}`)).toMatchObject(shown);
    expect((await runpod.rest(`DELETE /templates/${templateId}`)).status).toBe(204);
    const { id: next } = await runpod.restJson("POST /templates", { ...template, env: { C: "4" } });
    expect(await runpod.restJson(`PATCH /serverless/${id}`, { templateId: next })).toMatchObject({ env: { C: "4" } });
  });

  it("are deleted with their jobs and their template, even while workers run", async () => {
    const { id } = await create();
    const sync = runpod.call(`${id}/runsync`, { method: "POST", body: JSON.stringify({ input: { text: "x" } }) });
    await runpod.worker.next();
    const deleted = await runpod.rest(`DELETE /serverless/${id}`);
    expect([deleted.status, await deleted.text()]).toEqual([204, ""]);
    expect(await (await sync).json()).toMatchObject({ status: "CANCELLED" });
    expect(runpod.worker.stopRequested).toBe(true);
    expect(await runpod.restJson("GET /templates")).toMatchObject({ templates: [] });
    expect(await runpod.restRefusal(`DELETE /serverless/${id}`)).toEqual([404, "endpoint not found", []]);
    expect((await runpod.call(`${id}/health`)).status).toBe(404);
  });

  it("are deleted together with their template when GraphQL created them", async () => {
    const { id } = await runpod.deploy();
    expect((await runpod.rest(`DELETE /serverless/${id}`)).status).toBe(204);
    expect((await runpod.graphql("{ podTemplates { id } }")).podTemplates).toEqual([]);
  });

  it("are visible in GraphQL and can be deleted with GraphQL", async () => {
    const { id } = await create({ gpu: { pools: ["AMPERE_24", "ADA_24"], excludedTypes: [" NVIDIA L4"] } });
    const query = `query ($id: String!) { myself { maxServerlessConcurrency endpoint(id: $id) {
      gpuIds workersMax executionTimeoutMs type template { imageName boundEndpointId } } } }`;
    expect((await runpod.graphql(query, { id })).myself).toEqual({
      maxServerlessConcurrency: 5,
      endpoint: {
        gpuIds: "AMPERE_24,ADA_24,-NVIDIA L4",
        workersMax: 2,
        executionTimeoutMs: 600_000,
        type: "QB",
        template: { imageName: restEndpoint.image, boundEndpointId: id },
      },
    });
    expect(await runpod.restJson(`GET /serverless/${id}`)).toMatchObject({
      gpu: { pools: ["AMPERE_24", "ADA_24"], excludedTypes: ["NVIDIA L4"] },
    });
    // GraphQL deletes an endpoint only when workersMin and workersMax are 0. GraphQL also deletes the template copy
    // that REST v2 made.
    const remove = "mutation ($id: String!) { deleteEndpoint(id: $id) }";
    expect(await runpod.refusal(remove, { id })).toMatch(/must both be 0/);
    await runpod.restJson(`PATCH /serverless/${id}`, { workers: { max: 0 } });
    await runpod.graphql(remove, { id });
    expect((await runpod.graphql("{ podTemplates { id } }")).podTemplates).toEqual([]);
  });

  it("can use CPUs and can be load balancers without a queue", async () => {
    const { gpu, ...rest } = restEndpoint;
    const cpu = [{ id: "cpu5c", vcpuCount: 4 }];
    const created = await runpod.restJson("POST /serverless", { ...rest, cpu });
    expect(created).toMatchObject({ cpu: [{ id: "cpu5c", vcpuCount: 4, memory: 8 }] });
    expect(created).not.toHaveProperty("gpu");
    const scaling = { type: "REQUEST_COUNT", requestCount: 4 };
    const balancer = await create({ name: "balancer", type: "LOAD_BALANCER", scaling });
    expect(Object.keys(balancer.requestUrls)).toEqual(["base", "health"]);
    const run = await runpod.call(`${balancer.id}/run`, { method: "POST", body: '{"input":{"a":1}}' });
    expect(await run.json()).toEqual({ error: "not allowed for QB API" });
  });

  it("show no idleTimeout when they scale by request count", async () => {
    const { id } = await create({ scaling: { type: "REQUEST_COUNT", requestCount: 2 }, workers: { max: 2 } });
    expect((await runpod.restJson(`GET /serverless/${id}`)).workers).toEqual({ min: 0, max: 2 });
  });

  it.each([
    ["an unknown field", { bogus: 1 }, 422, "$: additional properties 'bogus' not allowed"],
    [
      "fields of REST v1",
      { gpuTypeIds: [], workersMax: 1 },
      422,
      "$: additional properties 'gpuTypeIds', 'workersMax' not allowed",
    ],
    ["an unknown nested field", { workers: { most: 1 } }, 422, "$.workers: additional properties 'most' not allowed"],
    ["a missing name", { name: undefined }, 422, "$: missing property 'name'"],
    ["a missing type", { type: undefined }, 422, "$: missing property 'type'"],
    ["a missing scaling", { scaling: undefined }, 422, "$: missing property 'scaling'"],
    ["neither image nor template", { image: undefined }, 422, "$: missing property 'image'"],
    [
      "flashboot in the format of REST v1",
      { flashboot: true },
      422,
      "$.flashboot: value must be one of 'OFF', 'FLASHBOOT', 'PRIORITY_FLASHBOOT'",
    ],
    ["an env in the format of GraphQL", { env: [{ key: "A", value: "1" }] }, 422, expect.stringMatching(/^\$\.env: /)],
    [
      "a queue delay under half a second",
      { scaling: { type: "QUEUE_DELAY", queueDelay: 0.4 } },
      422,
      expect.stringMatching(/^\$\.scaling\.queueDelay: /),
    ],
    [
      "an idleTimeout over an hour",
      { workers: { idleTimeout: 3601 } },
      422,
      expect.stringMatching(/^\$\.workers\.idleTimeout: /),
    ],
    [
      "a load balancer that scales by queue delay",
      { type: "LOAD_BALANCER" },
      422,
      expect.stringMatching(/REQUEST_COUNT/),
    ],
    [
      "a CUDA version without a minor version",
      { gpu: { pools: ["ADA_24"], minCudaVersion: "12" } },
      422,
      expect.stringMatching(/^\$\.gpu\.minCudaVersion: /),
    ],
  ])("are rejected with %s, and the error names the field", async (_name, body, status, fault) => {
    const [code, , errors] = await runpod.restRefusal("POST /serverless", { ...restEndpoint, ...body });
    expect([code, errors]).toEqual([status, [fault]]);
    expect(await runpod.restJson("GET /serverless")).toMatchObject({ endpoints: [] });
  });

  const byCount = { type: "REQUEST_COUNT", requestCount: 1 };
  it.each([
    [
      "an idleTimeout together with scaling by request count",
      { scaling: byCount },
      422,
      /idleTimeout does not apply to queue-based endpoints/,
    ],
    ["an image that is missing in its registry", { image: "registry.example/missing:1" }, 422, /manifest unknown/],
    ["both gpu and cpu", { cpu: [{ id: "cpu5c", vcpuCount: 4 }] }, 400, /exactly one of gpu or cpu/],
    ["neither gpu nor cpu", { gpu: undefined }, 400, /exactly one of gpu or cpu/],
    ["an unknown GPU pool", { gpu: { pools: ["RTX"] } }, 400, /RTX is not a GPU pool/],
    [
      "an excluded GPU type outside the GPU pools",
      { gpu: { pools: ["ADA_24"], excludedTypes: ["NVIDIA L4"] } },
      400,
      /NVIDIA L4 is not a GPU type/,
    ],
    [
      "both minCudaVersion and allowedCudaVersions",
      { gpu: { pools: ["ADA_24"], minCudaVersion: "12.1", allowedCudaVersions: ["12.8"] } },
      400,
      /mutually exclusive/,
    ],
    ["more workers than the quota allows", { workers: { max: 6 } }, 400, /maximum limit of \(5\)/],
    ["an unknown template", { templateId: "unknown" }, 404, /template not found/],
    ["an unknown credential", { registry: "unknown" }, 404, /Registry auth not found/],
    ["an unknown volume", { networkVolumes: ["unknown"] }, 404, /Network volume not found/],
  ])("are rejected with %s", async (_name, body, status, detail) => {
    const refusal = await runpod.restRefusal("POST /serverless", { ...restEndpoint, ...body });
    expect(refusal).toEqual([status, expect.stringMatching(detail), []]);
    expect(await runpod.restJson("GET /serverless")).toMatchObject({ endpoints: [] });
  });

  it("are rejected when their template is for Pods", async () => {
    const { id: templateId } = await runpod.restJson("POST /templates", { ...template, serverless: false });
    const [status] = await runpod.restRefusal("POST /serverless", { ...restEndpoint, templateId });
    expect(status).toBe(422);
  });

  it("reject a change of their type and a change from GPU to CPU", async () => {
    const { id } = await create();
    const [type] = await runpod.restRefusal(`PATCH /serverless/${id}`, { type: "LOAD_BALANCER" });
    const [cpu] = await runpod.restRefusal(`PATCH /serverless/${id}`, { cpu: [{ id: "cpu5c", vcpuCount: 4 }] });
    const [, , exclusion] = await runpod.restRefusal(`PATCH /serverless/${id}`, {
      gpu: { excludedTypes: ["NVIDIA L4"] },
    });
    expect([type, cpu, exclusion]).toEqual([422, 400, ["$.gpu: missing property 'pools'"]]);
  });

  it("are rejected when all their GPU pools lack capacity", async () => {
    runpod.double.switches.noCapacity.push("AMPERE_16");
    const refusal = await runpod.restRefusal("POST /serverless", restEndpoint);
    expect(refusal).toEqual([400, expect.stringMatching(/^There are no longer any instances available/), []]);
    await create({ gpu: { pools: ["AMPERE_16", "ADA_24"] } });
  });
});

describe("REST v2 workers and releases", () => {
  it("show the version of each worker and the progress of a rollout", async () => {
    const { id } = await create();
    const [old] = runpod.workers;
    await runpod.json(`${id}/run`, { input: { text: "x" } });
    await old?.next();
    runpod.double.skip(90_000);
    await runpod.restJson(`PATCH /serverless/${id}`, { image: "registry.example/phi3:2.0.0", env: { A: "1" } });

    const { workers, summary, endpointVersion } = await runpod.restJson(`GET /serverless/${id}/workers`);
    expect(endpointVersion).toBe(2);
    expect(summary).toEqual({ running: 1, idle: 0, initializing: 1, throttled: 0, unhealthy: 0, total: 2 });
    expect(workers).toEqual([
      {
        id: old?.env.RUNPOD_POD_ID,
        status: "RUNNING",
        isStale: true,
        version: 1,
        gpuCount: 1,
        image: "registry.example/phi3:1.0.0",
        uptimeSeconds: expect.any(Number),
        gpuTypeId: "NVIDIA RTX A4000",
        dataCenterId: expect.any(String),
        startedAt: expect.any(String),
      },
      expect.objectContaining({ status: "INITIALIZING", isStale: false, version: 2 }),
    ]);
    expect(workers[0].uptimeSeconds).toBeGreaterThanOrEqual(90);
    const releases = await runpod.restJson(`GET /serverless/${id}/releases`);
    expect(releases).toMatchObject({
      endpointVersion: 2,
      rollout: { inProgress: true, workersOnLatest: 1, workersTotal: 2, percentOnLatest: 50 },
      releases: [
        {
          version: 2,
          source: "MANUAL",
          workerCount: 1,
          diff: [
            { field: "template.imageName", old: "registry.example/phi3:1.0.0", new: "registry.example/phi3:2.0.0" },
            { field: "template.env", old: [], new: [{ key: "A", value: "1" }] },
          ],
        },
        { version: 1, diff: [] },
      ],
    });
  });

  it("show no new version after a change of scaling or of the variables' order", async () => {
    const { id } = await create({ env: { A: "1", B: "2" } });
    await runpod.restJson(`PATCH /serverless/${id}`, {
      workers: { max: 1, idleTimeout: 5 },
      scaling: { type: "QUEUE_DELAY", queueDelay: 0.5 },
      timeout: 10_000,
      env: { B: "2", A: "1" },
    });
    expect((await runpod.restJson(`GET /serverless/${id}/releases`)).endpointVersion).toBe(1);
    await runpod.restJson(`PATCH /serverless/${id}`, { gpu: { pools: ["ADA_24"] }, args: "--x" });
    expect((await runpod.restJson(`GET /serverless/${id}/releases`)).releases[0]).toMatchObject({
      version: 2,
      diff: [{ field: "gpuIds" }, { field: "template.dockerArgs", old: "", new: "--x" }],
    });
  });

  it("stream the system log of a worker as server-sent events", async () => {
    runpod.double.switches.unpullable.push("*");
    const { id } = await create();
    const [worker] = (await runpod.restJson(`GET /serverless/${id}/workers`)).workers;
    const path = `/serverless/${id}/workers/${worker.id}/logs`;
    const events = async (query: string) => {
      const response = await runpod.rest(`GET ${path}?${query}`);
      expect(response.headers.get("content-type")).toBe("text/event-stream");
      const reader = response.body?.getReader();
      const text = new TextDecoder().decode((await reader?.read())?.value);
      await reader?.cancel();
      return [...text.matchAll(/^id: \S+\/\d{12}\ndata: (.*)\n\n/gm)].map(([, data]) => JSON.parse(data ?? ""));
    };
    const [first] = await events("tail=5");
    expect(first).toEqual({
      ts: expect.any(String),
      source: "system",
      line: expect.stringMatching(/^cannot pull its image: /),
    });
    runpod.double.skip(60_000);
    runpod.double.switches.unpullable.pop();
    runpod.double.tick();
    const later = await events(`since=${first.ts}`);
    expect(later.map(({ line }) => line)).toEqual([expect.stringMatching(/^starting with 1\.0\.0/)]);
    expect((await runpod.rest(`GET /serverless/${id}/workers/unknown/logs`)).status).toBe(404);
  });
});

describe("REST v2 templates", () => {
  it("are created, read, changed and deleted by id", async () => {
    const created = await runpod.restJson("POST /templates", template);
    expect(created).toEqual({
      ...template,
      id: expect.any(String),
      args: "",
      mounts: {},
      ports: [],
      env: {},
      registry: null,
      public: false,
      category: "NVIDIA",
      startSsh: true,
      startJupyter: true,
      allowedCudaVersions: [],
    });
    const changed = await runpod.restJson(`PATCH /templates/${created.id}`, { name: "renamed", ports: ["8000/http"] });
    expect(changed).toEqual({ ...created, name: "renamed", ports: ["8000/http"] });
    expect(await runpod.restJson("GET /templates")).toMatchObject({ templates: [changed] });
    expect((await runpod.rest(`DELETE /templates/${created.id}`)).status).toBe(204);
    expect(await runpod.restRefusal(`DELETE /templates/${created.id}`)).toEqual([404, "Template not found", []]);
  });

  it("must have unique names, and must have no volume if they are serverless", async () => {
    await runpod.restJson("POST /templates", template);
    expect((await runpod.restRefusal("POST /templates", template)).slice(0, 2)).toEqual([
      400,
      "Template name must be unique",
    ]);
    const mounts = { persistent: { size: 20, path: "/workspace" } };
    const [status, detail] = await runpod.restRefusal("POST /templates", { ...template, name: "other", mounts });
    expect([status, detail]).toEqual([400, expect.stringMatching(/volumeInGb must be 0/)]);
    const pods = await runpod.restJson("POST /templates", { ...template, name: "pods", serverless: false, mounts });
    expect(pods.mounts).toEqual(mounts);
  });

  it("cannot be deleted while a GraphQL endpoint uses them", async () => {
    const { templateId } = await runpod.deploy();
    expect(await runpod.restRefusal(`DELETE /templates/${templateId}`)).toEqual([
      400,
      "Template is in use and cannot be deleted",
      [],
    ]);
  });
});

describe("REST v2 registries", () => {
  it("can be created, get a new password under the same id, and can be deleted", async () => {
    const body = { name: "ghcr", username: "mama", password: "canary-password" };
    const created = await runpod.restJson("POST /registries", body);
    expect(created).toEqual({ id: expect.any(String), name: "ghcr" });
    expect(await runpod.restJson("GET /registries")).toEqual({ registries: [created] });
    expect(await runpod.restJson(`GET /registries/${created.id}`)).toEqual(created);
    expect((await runpod.restRefusal("POST /registries", body))[0]).toBe(400);
    const login = { username: "mama", password: "canary-second" };
    expect(await runpod.restJson(`PATCH /registries/${created.id}`, login)).toEqual(created);
    expect((await runpod.restRefusal(`PATCH /registries/${created.id}`, { password: "x" }))[0]).toBe(422);

    const { id } = await runpod.restJson("POST /templates", { ...template, registry: created.id });
    expect((await runpod.rest(`DELETE /registries/${created.id}`)).status).toBe(204);
    expect((await runpod.restJson(`GET /templates/${id}`)).registry).toBeNull();
  });

  it("can be ECR delegations", async () => {
    const resource = "arn:aws:ecr:us-east-2:123456789012:repository/snack/phi3";
    const created = await runpod.restJson("POST /registries/delegations", { resource });
    expect(created).toMatchObject({
      name: null,
      awsUser: "123456789012",
      repository: "snack/phi3",
      awsRegion: "us-east-2",
      dockerRegistryUri: "123456789012.dkr.ecr.us-east-2.amazonaws.com",
    });
    expect(await runpod.restJson("GET /registries/delegations")).toMatchObject({ delegations: [created] });
    expect((await runpod.restRefusal("POST /registries/delegations", { resource: "snack/phi3" }))[0]).toBe(400);
    expect((await runpod.rest(`DELETE /registries/delegations/${created.id}`)).status).toBe(204);
  });
});

describe("REST v2 secrets", () => {
  const token = { name: "hf-token", value: "canary-value" };

  it("are created, found by name, changed and deleted, and never show their value", async () => {
    await runpod.start();
    const created = await runpod.restJson("POST /account/secrets", token);
    expect(created).toMatchObject({ name: "hf-token", description: null });
    const changed = await runpod.restJson(`PATCH /account/secrets/${created.id}`, { value: "canary-2" });
    expect(await runpod.restJson(`GET /account/secrets/${created.id}`)).toEqual(changed);
    expect(await runpod.restJson("GET /account/secrets?name=HF-Token")).toEqual({ secrets: [changed] });
    expect(await runpod.restJson("GET /account/secrets?name=hf")).toEqual({ secrets: [] });
    expect(JSON.stringify([created, changed])).not.toContain("canary");
    expect((await runpod.rest(`DELETE /account/secrets/${created.id}`)).status).toBe(204);
    expect((await runpod.restRefusal(`DELETE /account/secrets/${created.id}`))[0]).toBe(404);
  });

  it.each([
    ["a taken name", 409, { ...token, name: "HF-TOKEN" }],
    ["the reserved prefix", 422, { ...token, name: "RunPod_token" }],
    ["a name with a space", 422, { ...token, name: "hf token" }],
    ["an empty value", 422, { name: "other", value: "" }],
    ["an unknown field", 422, { ...token, name: "other", scope: "all" }],
  ])("are refused when they have %s", async (_case, status, body) => {
    await runpod.start();
    await runpod.restJson("POST /account/secrets", token);
    expect((await runpod.restRefusal("POST /account/secrets", body))[0]).toBe(status);
  });

  it("are refused when a change contains no field or a new name", async () => {
    await runpod.start();
    const { id } = await runpod.restJson("POST /account/secrets", token);
    expect((await runpod.restRefusal(`PATCH /account/secrets/${id}`, {}))[0]).toBe(422);
    expect((await runpod.restRefusal(`PATCH /account/secrets/${id}`, { name: "new" }))[0]).toBe(422);
  });

  it("reach only workers that start later, and a reference to a deleted secret stays unresolved", async () => {
    await runpod.start();
    const { id } = await runpod.restJson("POST /account/secrets", token);
    const reference = "{{ RUNPOD_SECRET_hf-token }}";
    const { id: endpointId } = await runpod.deploy({}, { env: [{ key: "HF_TOKEN", value: reference }] });
    const first = runpod.worker;
    expect(first.env.HF_TOKEN).toBe("canary-value");
    await runpod.restJson(`PATCH /account/secrets/${id}`, { value: "canary-2" });
    expect([runpod.worker, first.stopRequested]).toEqual([first, false]);
    const restart = (GENERATION: string) =>
      runpod.restJson(`PATCH /serverless/${endpointId}`, { env: { HF_TOKEN: reference, GENERATION } });
    await restart("2");
    await expect.poll(() => runpod.worker.env.HF_TOKEN).toBe("canary-2");
    await runpod.rest(`DELETE /account/secrets/${id}`);
    await restart("3");
    await expect.poll(() => runpod.worker.env.HF_TOKEN).toBe(reference);
  });
});

describe("REST v2 catalog, volumes and billing", () => {
  it("list GPUs with their pools and, on request, with their stock", async () => {
    const { gpus } = await runpod.restJson("GET /catalog/gpus");
    expect(gpus.find(({ pool }: { pool: string }) => pool === "ADA_24")).toEqual({
      id: "NVIDIA GeForce RTX 4090",
      name: "RTX 4090",
      pool: "ADA_24",
      manufacturer: "NVIDIA",
      memory: 24,
      secure: true,
      community: true,
      price: { secure: 0.6, community: 0.48, serverless: 1.116 },
      maxCount: { secure: 8, community: 8 },
    });
    expect((await runpod.restRefusal("GET /catalog/gpus?include=AVAILABILITY"))[0]).toBe(400);
    runpod.double.switches.noCapacity.push("ADA_24");
    const stock = await runpod.restJson("GET /catalog/gpus?include=AVAILABILITY&product=SERVERLESS");
    const levels = Object.fromEntries(
      stock.gpus.map(({ pool, availability }: { pool: string; availability: string }) => [pool, availability]),
    );
    expect(levels).toMatchObject({ ADA_24: "NONE", AMPERE_16: "HIGH" });
    const place = await runpod.restJson("GET /catalog/datacenters/EU-RO-1?include=GPU_AVAILABILITY");
    expect(place).toMatchObject({ id: "EU-RO-1", region: "EUROPE", gpuAvailability: expect.any(Array) });
    expect((await runpod.restJson("GET /catalog/cpus")).cpus[0]).toMatchObject({ id: "cpu3c", vcpu: { min: 2 } });
    expect(await runpod.restJson("GET /catalog/templates")).toEqual({ templates: [] });
  });

  it("refuse to shrink a network volume and to delete a volume in use", async () => {
    const volume = await runpod.restJson("POST /network-volumes", { name: "models", size: 20, dataCenter: "EU-RO-1" });
    expect(volume).toEqual({
      id: expect.any(String),
      name: "models",
      size: 20,
      dataCenter: "EU-RO-1",
      type: "STANDARD",
    });
    const path = `/network-volumes/${volume.id}`;
    expect((await runpod.restRefusal(`PATCH ${path}`, { size: 10 }))[0]).toBe(400);
    expect((await runpod.restRefusal(`PATCH ${path}`, {}))[0]).toBe(422);
    expect(await runpod.restJson(`PATCH ${path}`, { size: 30 })).toEqual({ ...volume, size: 30 });
    const { id } = await create({ networkVolumes: [volume.id] });
    expect((await runpod.restRefusal(`DELETE ${path}`))[0]).toBe(400);
    await runpod.rest(`DELETE /serverless/${id}`);
    expect((await runpod.rest(`DELETE ${path}`)).status).toBe(204);
  });

  it("list the cost of workers per endpoint", async () => {
    const { id } = await create();
    runpod.double.skip(3_600_000);
    const { records, metadata } = await runpod.restJson(`GET /billing/serverless?bucketSize=day&serverlessId=${id}`);
    expect(records).toEqual([
      expect.objectContaining({ serverlessId: id, gpuAmount: expect.closeTo(0.576, 2), cpuAmount: 0 }),
    ]);
    expect(metadata).toMatchObject({ recordCount: 1, uniqueServerlessCount: 1, query: { bucketSize: "day" } });
    expect((await runpod.restRefusal("GET /billing/serverless?lastN=1&startTime=2026-01-01T00:00:00Z"))[0]).toBe(400);
  });
});

describe("The REST v2 API", () => {
  it("accepts only a Bearer key and answers 403 to a restricted key", async () => {
    const status = async (key: string) => (await runpod.rest("GET /serverless", undefined, key)).status;
    expect(await status(`Bearer ${ACCOUNT_KEY}`)).toBe(200);
    expect(await status(ACCOUNT_KEY)).toBe(401);
    expect(await status("Bearer nonsense")).toBe(401);
    expect(await status(`Bearer ${PHI3_KEY}`)).toBe(403);
    const inUrl = await fetch(`${runpod.double.restUrl}/serverless?api_key=${ACCOUNT_KEY}`);
    expect(await inUrl.json()).toEqual({ title: "Unauthorized", status: 401, detail: "missing bearer token" });
  });

  it("answers 404 to an unknown path, 405 to a wrong method and 400 to invalid JSON", async () => {
    expect((await runpod.restRefusal("GET /serverless/x/builds"))[0]).toBe(404);
    expect((await runpod.restRefusal("GET /billing/endpoints"))[0]).toBe(404);
    const put = await runpod.rest("PUT /serverless", {});
    expect([put.status, put.headers.get("allow")]).toEqual([405, "GET, POST"]);
    expect((await runpod.restRefusal("POST /serverless", "{"))[0]).toBe(400);
  });

  it("sends the rate limits with each response, and Retry-After with a 429", async () => {
    await runpod.close();
    await runpod.start({ restQuota: { minute: 2, hour: 3_000, day: 50_000 } });
    const first = await runpod.rest("GET /serverless");
    expect(first.headers.get("ratelimit")).toMatch(/^"minute";r=1;t=\d+, "hour";r=2999;t=\d+, "day";r=49999;t=\d+$/);
    expect(first.headers.get("ratelimit-policy")).toBe(
      '"minute";q=2;w=60, "hour";q=3000;w=3600, "day";q=50000;w=86400',
    );
    await runpod.rest("GET /serverless");
    const third = await runpod.rest("GET /serverless");
    expect([third.status, Number(third.headers.get("retry-after")) > 0]).toEqual([429, true]);
    expect(await third.json()).toMatchObject({ detail: "rate limit exceeded for the minute window" });
    runpod.double.skip(60_000);
    expect((await runpod.rest("GET /serverless")).status).toBe(200);
  });

  it("serves an OpenAPI document of its routes", async () => {
    const document = await (await fetch(`${runpod.double.restUrl}/openapi.json`)).json();
    expect(document.openapi).toBe("3.1.0");
    const { schema } = document.paths["/v2/serverless"].post.requestBody.content["application/json"];
    expect(schema).toMatchObject({ required: ["name", "type", "scaling"], additionalProperties: false });
    expect(Object.keys(document.paths)).toContain("/v2/serverless/{id}/releases");
  });
});
