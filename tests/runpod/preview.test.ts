import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { parseImageName } from "../../runpod/imageName";
import { type Engine, startEngine } from "./engine";
import { startImageRegistry } from "./imageRegistry";
import { bothApis, make, stage } from "./stage";

describe("an image's name", () => {
  it.each([
    ["phi3:1", { host: "docker.io", repository: "library/phi3", reference: "1" }],
    ["snack/phi3", { host: "docker.io", repository: "snack/phi3", reference: "latest" }],
    ["ghcr.io/snack/phi3:1.2", { host: "ghcr.io", repository: "snack/phi3", reference: "1.2" }],
    ["localhost:5000/phi3:1", { host: "localhost:5000", repository: "phi3", reference: "1" }],
    [
      `ghcr.io/snack/phi3:1@sha256:${"a".repeat(64)}`,
      { host: "ghcr.io", repository: "snack/phi3", reference: `sha256:${"a".repeat(64)}` },
    ],
  ])("%s is taken apart as Docker does", (name, parts) => {
    expect(parseImageName(name)).toEqual(parts);
  });
});

describe("the preview", () => {
  const on = bothApis.graphql();
  let registry: Awaited<ReturnType<typeof startImageRegistry>>;
  let engine: Engine;
  beforeAll(async () => {
    registry = await startImageRegistry();
    engine = await startEngine(on().program.folder, { ...on().config, runpodImageLookupMs: "2000" });
  });
  beforeEach(() => registry.set("open"));
  afterAll(async () => {
    await engine.close();
    await registry.close();
  });

  /** What is refused of a template with that image. */
  async function refused(tag: string, changes: object = {}, olds = {}) {
    const template = engine.resource(on().registered.template.type);
    const inputs = { ...on().templateInputs, imageName: registry.image(tag), ...changes };
    return (await template.check(inputs, olds)).failures.map(({ property, reason }) => `${property}: ${reason}`);
  }

  it.each(["multi", "single"])("lets an image for linux/amd64 pass: %s", async (tag) => {
    expect(await refused(tag)).toEqual([]);
  });

  it.each(["arm-only", "single-arm"])("refuses an image that RunPod's hosts cannot run: %s", async (tag) => {
    expect(await refused(tag)).toEqual([
      `imageName: ${registry.image(tag)} is built for linux/arm64 only: RunPod needs linux/amd64 (docker build --platform linux/amd64)`,
    ]);
  });

  it("refuses an image that is not there, unless only credentials might show it", async () => {
    expect(await refused("missing")).toEqual([
      `imageName: ${registry.image("missing")} is not in its registry: push it first, or correct the tag`,
    ]);
    expect(await refused("missing", { containerRegistryAuthId: "reg1" })).toEqual([]);
  });

  it("refuses a disk smaller than the image, and warns of one that is about to be", async () => {
    expect(await refused("large")).toEqual([
      "containerDiskInGb: must hold the unpacked image, which is 45.0 GB compressed already, got 30",
    ]);
    expect(await refused("large", { containerDiskInGb: 60 })).toEqual([]);
    expect(engine.output()).toMatch(/a disk of 60 GB may be too small for .*large \(45.0 GB compressed\)/);
  });

  it("refuses nothing when the registry cannot be read", async () => {
    registry.set("private");
    expect(await refused("arm-only")).toEqual([]);
    expect(await refused("x", { imageName: "127.0.0.1:9/snack/phi3:1" })).toEqual([]);
  });

  it("does not ask again for an image that has not changed", async () => {
    const before = registry.asked.length;
    const { registered, templateInputs } = on();
    const template = engine.resource(registered.template.type);
    const { inputs } = await template.check({ ...templateInputs, imageName: registry.image("multi") });
    const between = registry.asked.length;
    expect(between).toBeGreaterThan(before);
    await template.check(inputs, inputs);
    expect(registry.asked.length).toBe(between);
  });
});

describe("workers beyond the account's quota", () => {
  const on = stage();

  async function two() {
    const { template, templateInputs, endpoint, endpointInputs } = on();
    const first = await make(template, templateInputs);
    const made = await make(endpoint, { ...endpointInputs, templateId: first.id });
    const { id: templateId } = await make(template, { ...templateInputs, name: "snack-mistral" });
    return { made, next: { ...endpointInputs, name: "snack-mistral", templateId } };
  }

  const sum =
    'Endpoint "snack-mistral" asks for 3 workers of at most 5, and the account\'s other endpoints have 3 (snack-phi3 3). ' +
    "Lower workersMax somewhere;";

  it("that RunPod refuses are explained by the sum", async () => {
    const { runpod, endpoint } = on();
    const { next } = await two();
    const message = "Max workers across all endpoints must not exceed your workers quota (5)";
    runpod.failNext("saveEndpoint", { message });
    await expect(make(endpoint, next)).rejects.toThrow(`RunPod refused saveEndpoint: ${message} ${sum}`);
    expect(runpod.seen().endpoints).toHaveLength(1);
  });

  it("are refused before RunPod is asked for them, where it tells the quota", async () => {
    const { runpod, endpoint } = on();
    const { next } = await two();
    runpod.quota.workers = 5;
    const before = runpod.count("saveEndpoint");
    await expect(make(endpoint, next)).rejects.toThrow(sum);
    expect(runpod.count("saveEndpoint")).toBe(before);
    runpod.quota.workers = 6;
    await make(endpoint, next);
  });

  it("are refused before RunPod is asked, where the operator has said the quota", async () => {
    const { program, config, registered, runpod } = on();
    const { next, made } = await two();
    const engine = await startEngine(program.folder, { ...config, runpodWorkerQuota: "5" });
    try {
      const endpoint = engine.resource(registered.endpoint.type);
      const before = runpod.count("saveEndpoint");
      await expect(make(endpoint, next)).rejects.toThrow(sum);
      expect(runpod.count("saveEndpoint")).toBe(before);
      // Its own workers do not count twice.
      await endpoint.update(made.id, made.outs, { ...made.inputs, workersMax: 5 });
    } finally {
      await engine.close();
    }
  });
});

describe("what RunPod's REST API cannot do", () => {
  const on = bothApis.rest();

  it.each([
    [
      { modelReferences: ["https://huggingface.co/microsoft/Phi-3.5-mini-instruct:main"] },
      "modelReferences",
      /is not known to RunPod's REST API: bake the model into the image/,
    ],
    [{ scalerType: "REQUEST_COUNT" }, "scalerType", /must be QUEUE_DELAY with RunPod's REST API/],
  ])("is refused of an endpoint: %j", async (change, property, reason) => {
    const { endpoint, endpointInputs } = on();
    const { failures } = await endpoint.check({ ...endpointInputs, ...change });
    expect(failures).toEqual([{ property, reason: expect.stringMatching(reason) }]);
  });

  it.each([{ password: "canary-new-token" }, { username: "someone" }])(
    "is refused of registry credentials, with what to do instead: %j",
    async (change) => {
      const { registryAuth, registryAuthInputs } = on();
      const { outs } = await make(registryAuth, registryAuthInputs);
      const { failures } = await registryAuth.check({ ...registryAuthInputs, ...change }, outs);
      expect(failures).toEqual([
        {
          property: Object.keys(change)[0],
          reason: expect.stringMatching(
            /cannot be changed through RunPod's REST API: give these credentials another name/,
          ),
        },
      ]);
      const other = { ...registryAuthInputs, ...change, name: "snack-misaki-dev-registry-2" };
      expect((await registryAuth.check(other, outs)).failures).toEqual([]);
    },
  );
});

describe("what only RunPod's GraphQL API can do", () => {
  const on = bothApis.graphql();

  it("changes registry credentials in place, with the same id", async () => {
    const { runpod, registryAuth, registryAuthInputs } = on();
    const { id, outs } = await make(registryAuth, registryAuthInputs);
    const { inputs } = await registryAuth.check({ ...registryAuthInputs, password: "canary-new-token" }, outs);
    expect(await registryAuth.diff(id, outs, inputs)).toMatchObject({ changes: true, replaces: [] });
    await registryAuth.update(id, outs, inputs);
    expect(runpod.seen().registryAuths).toEqual([
      { id, name: "snack-misaki-dev-registry", username: "AWS", password: "canary-new-token" },
    ]);
  });

  it("keeps models ready on RunPod's hosts", async () => {
    const { runpod, template, templateInputs, endpoint, endpointInputs } = on();
    const { id: templateId } = await make(template, templateInputs);
    const modelReferences = ["https://huggingface.co/microsoft/Phi-3.5-mini-instruct:main"];
    const { id, inputs, outs } = await make(endpoint, { ...endpointInputs, templateId, modelReferences });
    expect(runpod.calls.at(-1)?.input).toMatchObject({ modelReferences });
    expect((await endpoint.read(id, outs)).inputs).toEqual(inputs);
  });
});

describe("an endpoint made through GraphQL", () => {
  const on = bothApis.rest();

  it("follows its template after the change to REST, though it carries no mark of it", async () => {
    const { runpod, template, templateInputs, endpoint, endpointInputs } = on();
    const first = await make(template, templateInputs);
    const second = await make(endpoint, { ...endpointInputs, templateId: first.id });
    delete runpod.seen().endpoints[0]?.env.SNACK_MISAKI_TEMPLATE;
    expect((await endpoint.read(second.id, second.outs)).inputs).toEqual(second.inputs);
    const { inputs } = await template.check({ ...first.inputs, imageName: "registry.example/phi3:2026-12-01" });
    await template.update(first.id, first.outs, inputs);
    const [seen] = runpod.seen().endpoints;
    expect(seen).toMatchObject({ image: inputs.imageName, env: { SNACK_MISAKI_TEMPLATE: first.id } });
  });

  it("that runs something else than its template shows it, and the next update mends it", async () => {
    const { runpod, template, templateInputs, endpoint, endpointInputs } = on();
    const first = await make(template, templateInputs);
    const second = await make(endpoint, { ...endpointInputs, templateId: first.id });
    const [seen] = runpod.seen().endpoints;
    if (seen === undefined) throw new Error("not there");
    seen.env.MODEL = "mistral";
    const read = await endpoint.read(second.id, second.outs);
    expect(read.inputs).toEqual({ ...second.inputs, templateId: "" });
    await endpoint.update(second.id, read.outs, second.inputs);
    expect(runpod.seen().endpoints[0]?.env.MODEL).toBe("phi3");
  });
});
