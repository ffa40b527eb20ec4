import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openAccount } from "../../../local/runpod/account/accountFile";
import type { RegistryAuth, Template } from "../../../local/runpod/account/records";
import { needsPython, workerPython } from "../../workerPython";
import {
  ACCOUNT_KEY,
  endpointInput,
  PHI3_KEY,
  RunpodFixture,
  restEndpoint,
  SAVE_ENDPOINT,
  SAVE_TEMPLATE,
  templateInput,
} from "./fixture";
import { PythonDriver } from "./jobClients";

let runpod: RunpodFixture;
beforeEach(async () => {
  runpod = new RunpodFixture();
  await runpod.start();
});
afterEach(() => runpod.dispose());

const DELETE_TEMPLATE = "mutation ($name: String) { deleteTemplate(templateName: $name) }";
const DELETE_ENDPOINT = "mutation ($id: String!) { deleteEndpoint(id: $id) }";
const ENDPOINT = `query ($id: String!) { myself { endpoint(id: $id) {
  id name version gpuIds idleTimeout scalerType scalerValue workersMin workersMax executionTimeoutMs flashBootType locations templateId
  template { name imageName env { key value } boundEndpointId } pods { desiredStatus } } } }`;

describe("GraphQL templates", () => {
  it("must have unique names and keep their id after an update", async () => {
    const id = await runpod.saveTemplate();
    const refusal = await runpod.refusal(SAVE_TEMPLATE, { input: templateInput });
    expect(refusal).toBe("Template name must be unique");
    expect(await runpod.saveTemplate({ id, imageName: "registry.example/phi3:1.0.1" })).toBe(id);
    const { podTemplate } = await runpod.graphql("query ($id: String!) { podTemplate(id: $id) { imageName } }", { id });
    expect(podTemplate).toEqual({ imageName: "registry.example/phi3:1.0.1" });
  });

  it("can be deleted by name only when no endpoint uses them", async () => {
    const { id } = await runpod.deploy();
    expect(await runpod.refusal(DELETE_TEMPLATE, { name: templateInput.name })).toMatch(/in use/);
    const { templateId } = (await runpod.graphql(ENDPOINT, { id })).myself.endpoint;
    await runpod.saveEndpoint({ id, templateId, workersMax: 0 });
    await runpod.graphql(DELETE_ENDPOINT, { id });
    expect(await runpod.graphql(DELETE_TEMPLATE, { name: templateInput.name })).toEqual({ deleteTemplate: null });
    expect(await runpod.refusal(DELETE_TEMPLATE, { name: templateInput.name })).toBe("Template not found");
    expect((await runpod.graphql("{ podTemplates { id } }")).podTemplates).toEqual([]);
  });

  it("cannot be deleted until templateHoldMs after the deletion of their last endpoint", async () => {
    await runpod.close();
    await runpod.start({ templateHoldMs: 120_000 });
    const { id, templateId } = await runpod.deploy();
    await runpod.saveEndpoint({ id, templateId, workersMax: 0 });
    await runpod.graphql(DELETE_ENDPOINT, { id });
    expect(await runpod.refusal(DELETE_TEMPLATE, { name: templateInput.name })).toMatch(/in use/);
    expect((await runpod.restRefusal(`DELETE /templates/${templateId}`))[0]).toBe(400);
    runpod.double.skip(120_000);
    expect(await runpod.graphql(DELETE_TEMPLATE, { name: templateInput.name })).toEqual({ deleteTemplate: null });
  });

  it.each([
    [{ volumeInGb: 10 }, /volumeInGb must be 0/],
    [{ name: "ab" }, /name must have 3/],
    [{ imageName: null }, /imageName is required/],
    [{ imageName: "registry.example/missing:1" }, /manifest unknown/],
    [{ containerRegistryAuthId: "unknown" }, /Registry auth not found/],
    [{ id: "unknown" }, /Template not found/],
  ])("are rejected with the input %j", async (input, message) => {
    expect(await runpod.refusal(SAVE_TEMPLATE, { input: { ...templateInput, ...input } })).toMatch(message);
  });
});

describe("GraphQL endpoints", () => {
  it("get the default value for each field that is missing in an update", async () => {
    const { id, templateId } = await runpod.deploy({
      scalerType: "REQUEST_COUNT",
      scalerValue: 9,
      locations: "EU-RO-1",
    });
    await runpod.saveEndpoint({ id, templateId, idleTimeout: 60 });
    expect((await runpod.graphql(ENDPOINT, { id })).myself.endpoint).toMatchObject({
      scalerType: "QUEUE_DELAY",
      scalerValue: 4,
      locations: null,
      idleTimeout: 60,
      executionTimeoutMs: 0,
      flashBootType: "OFF",
    });
  });

  it("show their template and their workers", async () => {
    const { id } = await runpod.deploy();
    expect((await runpod.graphql(ENDPOINT, { id })).myself.endpoint).toMatchObject({
      name: "phi3",
      version: 1,
      template: { name: templateInput.name, env: templateInput.env, boundEndpointId: id },
      pods: [{ desiredStatus: "RUNNING" }],
    });
  });

  it("accept an inline template and later changes of this template", async () => {
    const { name, imageName, containerDiskInGb, dockerArgs, env } = templateInput;
    const template = { name, imageName, containerDiskInGb, dockerArgs, env };
    const { id } = await runpod.saveEndpoint({ template });
    await runpod.saveEndpoint({ id, template: { ...template, imageName: "registry.example/phi3:2.0.0" } });
    const { endpoint } = (await runpod.graphql(ENDPOINT, { id })).myself;
    expect(endpoint).toMatchObject({ version: 2, template: { imageName: "registry.example/phi3:2.0.0" } });
  });

  it("are deleted only when workersMin and workersMax are 0", async () => {
    const { id, templateId } = await runpod.deploy();
    expect(await runpod.refusal(DELETE_ENDPOINT, { id })).toMatch(/workersMin and workersMax must both be 0/);
    await runpod.saveEndpoint({ id, templateId, workersMax: 0 });
    expect(await runpod.graphql(DELETE_ENDPOINT, { id })).toEqual({ deleteEndpoint: null });
    expect(await runpod.refusal(DELETE_ENDPOINT, { id })).toBe("Endpoint not found");
    expect((await runpod.call(`${id}/health`)).status).toBe(404);
  });

  it("are rejected when all endpoints together exceed the account's worker quota", async () => {
    const { templateId } = await runpod.deploy({ workersMax: 3 });
    const input = { ...endpointInput, templateId, name: "second", workersMax: 3 };
    expect(await runpod.refusal(SAVE_ENDPOINT, { input })).toMatch(/maximum limit of \(5\)/);
    await runpod.saveEndpoint({ ...input, workersMax: 2 });
  });

  it("get a new version when environment, GPUs or template change, but not when scaling changes", async () => {
    const { id, templateId } = await runpod.deploy();
    const version = async () => (await runpod.graphql(ENDPOINT, { id })).myself.endpoint.version;
    await runpod.saveEndpoint({ id, templateId, workersMax: 1, scalerValue: 7, idleTimeout: 99 });
    expect(await version()).toBe(1);
    await runpod.saveTemplate({ id: templateId, readme: "hello" });
    expect(await version()).toBe(1);
    await runpod.saveTemplate({ id: templateId, env: [...templateInput.env, { key: "A", value: "b" }] });
    expect(await version()).toBe(2);
    await runpod.saveEndpoint({ id, templateId, gpuIds: "AMPERE_24" });
    expect(await version()).toBe(3);
    const other = await runpod.saveTemplate({ name: "another-template" });
    const update =
      "mutation ($input: UpdateEndpointTemplateInput) { updateEndpointTemplate(input: $input) { id templateId } }";
    const input = { endpointId: id, templateId: other };
    expect((await runpod.graphql(update, { input })).updateEndpointTemplate).toEqual({ id, templateId: other });
    expect(await version()).toBe(4);
  });

  it.each([
    [{ name: "ab" }, /name must have 3/],
    [{ idleTimeout: 0 }, /idleTimeout must be from 1 to 3600/],
    [{ idleTimeout: 3601 }, /idleTimeout must be from 1 to 3600/],
    [{ workersMin: 3 }, /workersMin must be from 0 to 2/],
    [{ gpuIds: "RTX" }, /RTX is not a GPU pool/],
    [{ gpuIds: null }, /gpuIds is required/],
    [{ gpuIds: "AMPERE_24,-NVIDIA A40" }, /NVIDIA A40 is not a GPU type in AMPERE_24/],
    [{ gpuIds: "ADA_24,-NVIDIA GeForce RTX 4090" }, /leaves no GPU type/],
    [{ type: "LB" }, /REQUEST_COUNT for a load-balancing endpoint/],
    [{ networkVolumeId: "unknown" }, /Network volume not found/],
    [{ scalerType: "CPU" }, /QUEUE_DELAY or REQUEST_COUNT/],
    [{ executionTimeoutMs: 10 }, /executionTimeoutMs must be from 5000/],
    [{ templateId: "unknown" }, /Template not found/],
    [{ templateId: null }, /templateId is required/],
    [{ id: "unknown" }, /Endpoint not found/],
  ])("are rejected with the input %j", async (input, message) => {
    const templateId = await runpod.saveTemplate();
    expect(await runpod.refusal(SAVE_ENDPOINT, { input: { ...endpointInput, templateId, ...input } })).toMatch(message);
    expect((await runpod.graphql("{ myself { endpoints { id } } }")).myself.endpoints).toEqual([]);
  });
});

describe("GraphQL registry credentials", () => {
  it("must have unique names and keep their id after a renewal", async () => {
    const save = "mutation ($input: SaveRegistryAuthInput!) { saveRegistryAuth(input: $input) { id name } }";
    const update = "mutation ($input: UpdateRegistryAuthInput!) { updateRegistryAuth(input: $input) { id name } }";
    const input = { name: "ecr", username: "AWS", password: "token-1" };
    const { id } = (await runpod.graphql(save, { input })).saveRegistryAuth;
    expect(await runpod.refusal(save, { input })).toMatch(/unique/);
    const renewed = await runpod.graphql(update, { input: { id, username: "AWS", password: "token-2" } });
    expect(renewed.updateRegistryAuth).toEqual({ id, name: "ecr" });
    const { containerRegistryCreds } = (await runpod.graphql("{ myself { containerRegistryCreds { id name } } }"))
      .myself;
    expect(containerRegistryCreds).toEqual([{ id, name: "ecr" }]);
    const remove = "mutation ($id: String) { deleteRegistryAuth(registryAuthId: $id) }";
    expect(await runpod.graphql(remove, { id })).toEqual({ deleteRegistryAuth: null });
    expect(await runpod.refusal(remove, { id })).toBe("Registry auth not found");
  });
});

describe("Other GraphQL queries and mutations", () => {
  it("show the worker quota", async () => {
    const { myself } = await runpod.graphql(
      "{ myself { clientBalance maxServerlessConcurrency serverlessDiscount { type } } }",
    );
    expect(myself).toEqual({ clientBalance: 100, maxServerlessConcurrency: 5, serverlessDiscount: null });
  });

  it("list GPU types with their pools and their stock", async () => {
    const query = `{ serverlessGpuPools { id gpuTypeIds } dataCenters { id gpuAvailability { gpuTypeId stockStatus } }
      gpuTypes(input: { id: "NVIDIA L4" }) { displayName memoryInGb lowestPrice(input: { gpuCount: 1 }) { stockStatus } } }`;
    const { serverlessGpuPools, gpuTypes, dataCenters } = await runpod.graphql(query);
    expect(serverlessGpuPools).toContainEqual({ id: "ADA_24", gpuTypeIds: ["NVIDIA GeForce RTX 4090"] });
    expect(gpuTypes).toEqual([{ displayName: "L4", memoryInGb: 24, lowestPrice: { stockStatus: "High" } }]);
    expect(dataCenters[0].gpuAvailability[0]).toMatchObject({ stockStatus: "High" });
    runpod.double.switches.noCapacity.push("AMPERE_24");
    const { gpuTypes: none } = await runpod.graphql(query);
    expect(none[0].lowestPrice).toEqual({ stockStatus: "None" });
  });

  it("manage secrets with unique names", async () => {
    const create =
      "mutation ($input: SecretCreateInput!) { secretCreate(input: $input) { id name createdAt updatedAt } }";
    const input = { name: "hf-token", value: "canary-value" };
    const { secretCreate } = await runpod.graphql(create, { input });
    expect(secretCreate).toMatchObject({ name: "hf-token", updatedAt: null });
    expect(await runpod.refusal(create, { input })).toMatch(/already exists/);
    const { id } = secretCreate;
    const setDescription =
      "mutation ($input: SecretDescriptionUpdateInput!) { secretDescriptionUpdate(input: $input) { description } }";
    expect(await runpod.graphql(setDescription, { input: { id, description: "for models" } })).toEqual({
      secretDescriptionUpdate: { description: "for models" },
    });
    const remove = "mutation ($id: ID!) { secretDelete(id: $id) }";
    expect(await runpod.graphql(remove, { id })).toEqual({ secretDelete: null });
    expect((await runpod.graphql("{ myself { secrets { id } } }")).myself.secrets).toEqual([]);
  });

  it("attach network volumes to endpoints and do not delete a volume in use", async () => {
    const create = "mutation ($input: CreateNetworkVolumeInput!) { createNetworkVolume(input: $input) { id size } }";
    const input = { name: "models", size: 20, dataCenterId: "EU-RO-1" };
    const { id } = (await runpod.graphql(create, { input })).createNetworkVolume;
    const endpoint = await runpod.deploy({
      networkVolumeIds: [{ networkVolumeId: id }],
      modelReferences: ["https://huggingface.co/microsoft/phi:main"],
    });
    const query =
      "query ($id: String!) { myself { endpoint(id: $id) { modelReferences networkVolumeIds { networkVolumeId dataCenterId } } } }";
    expect((await runpod.graphql(query, { id: endpoint.id })).myself.endpoint).toEqual({
      modelReferences: ["https://huggingface.co/microsoft/phi:main"],
      networkVolumeIds: [{ networkVolumeId: id, dataCenterId: "EU-RO-1" }],
    });
    const remove = "mutation ($input: DeleteNetworkVolumeInput!) { deleteNetworkVolume(input: $input) }";
    expect(await runpod.refusal(remove, { input: { id } })).toMatch(/in use/);
  });

  it("replace a null input with the default value", async () => {
    const { id } = await runpod.deploy({ idleTimeout: null, scalerType: null, flashBootType: null, type: null });
    expect((await runpod.graphql(ENDPOINT, { id })).myself.endpoint).toMatchObject({
      idleTimeout: 10,
      scalerType: "QUEUE_DELAY",
      flashBootType: "OFF",
    });
  });

  it("refuse an endpoint from a source code repository", async () => {
    const templateId = await runpod.saveTemplate();
    const input = { ...endpointInput, templateId, repo: { repoName: "snack" } };
    expect(await runpod.refusal(SAVE_ENDPOINT, { input })).toBe("repo is not supported by the local RunPod");
  });
});

describe("RunPod's Python client", () => {
  it("manages templates, endpoints and credentials", { ...needsPython, timeout: 20_000 }, async () => {
    const driver = new PythonDriver(workerPython, runpod.jobApiUrl);
    try {
      // biome-ignore lint/suspicious/noExplicitAny: the type depends on the call.
      const call = (name: string, args: object = {}): Promise<any> =>
        driver.call("control", ACCOUNT_KEY, "none", [name, args]);
      const auth = await call("create_container_registry_auth", {
        name: "ghcr",
        username: "mama",
        password: "secret-1",
      });
      await call("update_container_registry_auth", {
        registry_auth_id: auth.id,
        username: "mama",
        password: "secret-2",
      });
      const container = { image_name: "registry.example/phi3:1.0.0", is_serverless: true, env: { A: "1" } };
      const template = await call("create_template", {
        name: "phi3-template",
        registry_auth_id: auth.id,
        ...container,
      });
      expect(template).toMatchObject({ name: "phi3-template", env: [{ key: "A", value: "1" }], isServerless: true });
      await expect(call("create_template", { name: "phi3-template", ...container })).rejects.toThrow(
        "Template name must be unique",
      );
      const endpoint = await call("create_endpoint", {
        name: "phi3",
        template_id: template.id,
        workers_max: 2,
        flashboot: true,
      });
      expect(endpoint).toMatchObject({ name: "phi3", idleTimeout: 5, flashBootType: "FLASHBOOT" });
      const other = await call("create_template", { name: "other-template", ...container });
      await call("update_endpoint_template", { endpoint_id: endpoint.id, template_id: other.id });
      expect(await call("get_endpoints")).toEqual([
        expect.objectContaining({ id: endpoint.id, templateId: other.id, version: 2, workersMax: 2 }),
      ]);
      expect((await call("get_gpu", { gpu_id: "NVIDIA L4" })).displayName).toBe("L4");
      expect(await call("get_user")).toMatchObject({ networkVolumes: [] });
      await call("delete_container_registry_auth", { registry_auth_id: auth.id });
      await expect(driver.call("control", "nonsense", "none", ["get_user", {}])).rejects.toMatchObject({ status: 401 });
    } finally {
      driver.close();
    }
  });
});

describe("The GraphQL API", () => {
  const query = "{ myself { id } }";

  it("answers 401 to an unknown key and returns no user without a key", async () => {
    expect((await runpod.post({ query }, "nonsense")).status).toBe(401);
    const anonymous = await fetch(`${runpod.jobApiUrl.replace("/v2", "/graphql")}`, {
      method: "POST",
      body: JSON.stringify({ query }),
    });
    expect(await anonymous.json()).toEqual({ data: { myself: null } });
  });

  it("writes no request values to the event log", async () => {
    const response = await runpod.post({
      query: SAVE_TEMPLATE,
      variables: { input: { ...templateInput, env: "canary" } },
    });
    expect(await response.text()).toContain("canary");
    await runpod.post({ query: DELETE_TEMPLATE, variables: { name: "canary" } });
    expect(runpod.events.slice(-2)).toEqual([
      "POST /graphql saveTemplate → 400 GRAPHQL_VALIDATION_FAILED",
      "POST /graphql deleteTemplate → 200 RUNPOD",
    ]);
  });

  it("accepts the key as a query parameter", async () => {
    const url = `${runpod.jobApiUrl.replace("/v2", "/graphql")}?api_key=${ACCOUNT_KEY}`;
    const response = await fetch(url, { method: "POST", body: JSON.stringify({ query }) });
    expect(await response.json()).toEqual({ data: { myself: { id: expect.stringMatching(/^user_/) } } });
  });

  it("answers Unauthorized to a restricted key", async () => {
    const response = await runpod.post({ query }, PHI3_KEY);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      errors: [
        {
          message: "Unauthorized",
          locations: [{ line: 1, column: 3 }],
          path: ["myself"],
          extensions: { code: "RUNPOD" },
        },
      ],
      data: { myself: null },
    });
  });

  it.each([
    ["a field that does not exist", "{ myself { nonsense } }", {}],
    ["introspection", "{ __schema { types { name } } }", {}],
    ["a syntax error", "{ myself {", {}],
    ["a variable of the wrong type", SAVE_ENDPOINT, { input: { name: 5 } }],
    ["null for a required value", SAVE_ENDPOINT, { input: { ...endpointInput, name: null } }],
  ])("answers 400 to %s", async (_name, document, variables) => {
    const response = await runpod.post({ query: document, variables });
    expect(response.status).toBe(400);
    const body = await response.json();
    expect(body).not.toHaveProperty("data");
    expect(body.errors[0]).toMatchObject({ extensions: { code: "GRAPHQL_VALIDATION_FAILED" } });
  });
});

describe("After a restart, the RunPod double", () => {
  it("keeps the account and runs jobs on the account's endpoints", async () => {
    const { id } = await runpod.deploy();
    await runpod.close();
    await runpod.start();
    expect((await runpod.graphql(ENDPOINT, { id })).myself.endpoint).toMatchObject({ id, version: 1 });
    const { id: job } = await runpod.json(`${id}/run`, { input: { text: "x" } });
    expect((await runpod.worker.next()).id).toBe(job);
  });

  it("keeps the endpoints that REST v2 created, with their releases", async () => {
    const { id } = await runpod.restJson("POST /serverless", restEndpoint);
    await runpod.restJson(`PATCH /serverless/${id}`, { args: "--x" });
    const before = [
      await runpod.restJson(`GET /serverless/${id}`),
      (await runpod.restJson(`GET /serverless/${id}/releases`)).releases.map(withoutWorkers),
    ];
    await runpod.close();
    await runpod.start();
    const base = runpod.jobApiUrl;
    const after = await runpod.restJson(`GET /serverless/${id}`);
    expect(after.requestUrls.run).toBe(`${base}/${id}/run`);
    expect([
      { ...after, requestUrls: before[0].requestUrls },
      (await runpod.restJson(`GET /serverless/${id}/releases`)).releases.map(withoutWorkers),
    ]).toEqual(before);
    await runpod.rest(`DELETE /serverless/${id}`);
    expect((await runpod.restJson("GET /templates")).templates).toEqual([]);
  });

  it("opens an account file of an earlier version of the double", async () => {
    const { id, templateId } = await runpod.deploy();
    await runpod.close();
    const file = openAccount(join(runpod.dir, "account.db"));
    const { templates, releases, registryAuths } = file.data;
    // The earlier version did not have these fields or the table of releases.
    delete (templates[templateId] as Partial<Template>).isCopy;
    delete releases[id];
    registryAuths.old = { id: "old", name: "ecr" } as RegistryAuth;
    file.save("templates", templateId);
    file.save("releases", id);
    file.save("registryAuths", "old");
    file.close();
    await runpod.start();
    expect((await runpod.restJson(`GET /serverless/${id}/releases`)).releases).toEqual([]);
    await runpod.saveTemplate({
      id: templateId,
      imageName: "registry.example/phi3:2.0.0",
      containerRegistryAuthId: "old",
    });
    expect((await runpod.restJson(`GET /serverless/${id}/releases`)).releases).toMatchObject([{ version: 2 }]);
    const update = "mutation ($input: UpdateRegistryAuthInput) { updateRegistryAuth(input: $input) { id name } }";
    const renewed = await runpod.graphql(update, { input: { id: "old", username: "AWS", password: "token-2" } });
    expect(renewed.updateRegistryAuth).toEqual({ id: "old", name: "ecr" });
  });
});

const withoutWorkers = ({ workerCount, ...release }: { workerCount: number }) => release;
