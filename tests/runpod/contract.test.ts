import { unknownValue as UNKNOWN } from "@pulumi/pulumi/runtime/rpc";
import { describe, expect, it } from "vitest";
import { startEngine, unfinished } from "./engine";
import { createResource, doubleFixtures, fakeFixtures } from "./fixture";
import type { Properties } from "./program";

/** Returns the error of a call that must fail. */
async function failure(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => {
      throw new Error("The call did not fail.");
    },
    (error: unknown) => error,
  );
}

/** Removes Pulumi's `__provider` from properties. */
function own({ __provider: _, ...fields }: Properties): Properties {
  return fields;
}

// Runs the same tests with both APIs, on the fakes and on the RunPod double of `npm start`.
describe.each([
  ["GraphQL", fakeFixtures.graphql, true],
  ["REST", fakeFixtures.rest, true],
  ["GraphQL on the local double", doubleFixtures.graphql, false],
  ["REST on the local double", doubleFixtures.rest, false],
] as const)("RunPod resources through %s", (_name, useFixture, isFake) => {
  const fixture = useFixture();
  /** Declares a test that runs only on the fakes, because only a fake lets a test choose RunPod's error text. */
  const itOnFake = isFake ? it : () => {};

  /** Creates one resource of each type, as a deployment does. */
  async function deployed(changes: Properties = {}) {
    const { registryAuth, registryAuthInputs, template, templateInputs, endpoint, endpointInputs } = fixture();
    const auth = await createResource(registryAuth, registryAuthInputs);
    const first = await createResource(template, { ...templateInputs, containerRegistryAuthId: auth.id });
    const second = await createResource(endpoint, { ...endpointInputs, templateId: first.id, ...changes });
    return { auth, template: first, endpoint: second };
  }

  /** Changes the template's inputs. Returns the new inputs after `check` has accepted them. */
  async function changedTemplate(
    inputs: Properties,
    change: Properties = { imageName: "registry.example/phi3:2026-12-01" },
  ) {
    const { inputs: next, failures } = await fixture().template.check({ ...inputs, ...change }, inputs);
    expect(failures).toEqual([]);
    return next;
  }

  describe("A first deployment", () => {
    it("creates each resource once, with the program's inputs", async () => {
      const { runpod } = fixture();
      const created = await deployed();
      const { templates, endpoints, registryAuths } = runpod.snapshot();
      expect(registryAuths).toEqual([
        {
          id: created.auth.id,
          name: "snack-misaki-dev-registry",
          username: "AWS",
          password: "canary-registry-password",
        },
      ]);
      const container = {
        image: "registry.example/phi3:2026-11-01",
        diskGb: 30,
        registryId: created.auth.id,
        env: expect.objectContaining({ MODEL: "phi3", SNACK_MISAKI_STACK: "snack-misaki/dev" }),
      };
      expect(templates).toEqual([{ id: created.template.id, name: "snack-phi3", ...container }]);
      expect(endpoints).toEqual([
        {
          id: created.endpoint.id,
          name: "snack-phi3",
          workersMin: 0,
          workersMax: 3,
          gpus: expect.anything(),
          ...container,
        },
      ]);
      expect(endpoints[0]?.gpus.sort()).toEqual(["-NVIDIA L4", "AMPERE_16", "AMPERE_24"]);
    });

    it("shows no diff at the next deployment, even after a refresh", async () => {
      const { registryAuth, template, endpoint } = fixture();
      const created = await deployed();
      for (const [resource, { id, inputs, outs }] of [
        [registryAuth, created.auth],
        [template, created.template],
        [endpoint, created.endpoint],
      ] as const) {
        expect((await resource.diff(id, outs, inputs)).changes).toBe(false);
        const read = await resource.read(id, outs);
        expect(read).toEqual({ id, outs, inputs });
        const { inputs: again, failures } = await resource.check(inputs, inputs);
        expect(failures).toEqual([]);
        expect((await resource.diff(id, read.outs, again)).changes).toBe(false);
      }
    });

    it("creates resources whose inputs an import can read, except the password", async () => {
      const { registryAuth, template, endpoint } = fixture();
      const created = await deployed();
      const imported = async (resource: typeof template, { id, inputs: { __provider } }: typeof created.template) =>
        own((await resource.read(id, { __provider })).inputs);
      expect(await imported(template, created.template)).toEqual(own(created.template.inputs));
      const { gpuIds, ...fields } = await imported(endpoint, created.endpoint);
      const { gpuIds: declared, ...expected } = own(created.endpoint.inputs);
      expect(fields).toEqual(expected);
      expect([...(gpuIds as string[])].sort()).toEqual([...(declared as string[])].sort());
      const authProvider = { __provider: created.auth.inputs.__provider };
      const auth = await registryAuth.read(created.auth.id, authProvider);
      expect(own(auth.inputs)).toEqual({ name: "snack-misaki-dev-registry", owner: "" });
      const next = await registryAuth.check(created.auth.inputs, auth.inputs);
      expect(next.failures).toEqual([]);
      expect((await registryAuth.diff(auth.id, auth.outs, next.inputs)).replaces).toEqual([]);
      await registryAuth.update(auth.id, auth.outs, next.inputs);
      expect(fixture().runpod.snapshot().registryAuths).toHaveLength(1);
    });
  });

  describe("An update of a template", () => {
    it("changes the template in place and also changes the image of the template's endpoint", async () => {
      const { runpod, template } = fixture();
      const created = await deployed();
      const inputs = await changedTemplate(created.template.inputs);
      expect(await template.diff(created.template.id, created.template.outs, inputs)).toEqual({
        changes: true,
        replaces: [],
      });
      await template.update(created.template.id, created.template.outs, inputs);
      const { templates, endpoints } = runpod.snapshot();
      expect(templates.map(({ image }) => image)).toEqual(["registry.example/phi3:2026-12-01"]);
      expect(endpoints.map(({ id, image }) => [id, image])).toEqual([
        [created.endpoint.id, "registry.example/phi3:2026-12-01"],
      ]);
    });

    it("does not change the endpoints of other templates", async () => {
      const { runpod, template, templateInputs, endpoint, endpointInputs } = fixture();
      const created = await deployed();
      const other = await createResource(template, { ...templateInputs, name: "snack-other" });
      await createResource(endpoint, { ...endpointInputs, name: "snack-other", templateId: other.id });
      await template.update(created.template.id, created.template.outs, await changedTemplate(created.template.inputs));
      const images = runpod.snapshot().endpoints.map(({ name, image }) => [name, image]);
      expect(Object.fromEntries(images)).toEqual({
        "snack-phi3": "registry.example/phi3:2026-12-01",
        "snack-other": "registry.example/phi3:2026-11-01",
      });
    });

    it("can remove an environment variable of the workers and replace the registry credentials", async () => {
      const { runpod, template, registryAuth, registryAuthInputs } = fixture();
      const created = await deployed();
      const other = await createResource(registryAuth, { ...registryAuthInputs, name: "snack-misaki-dev-other" });
      const inputs = await changedTemplate(created.template.inputs, {
        env: { MODEL: "phi3" },
        containerRegistryAuthId: other.id,
      });
      await template.update(created.template.id, created.template.outs, inputs);
      const [seen] = runpod.snapshot().endpoints;
      expect(seen?.env).not.toHaveProperty("TICKET_ISSUER");
      expect(seen?.registryId).toBe(other.id);
    });

    it("changes the endpoint's image even after the template and the endpoint have been renamed", async () => {
      const { runpod, template, endpoint } = fixture();
      const created = await deployed();
      const renamed = await changedTemplate(created.template.inputs, { name: "snack-renamed" });
      await template.update(created.template.id, created.template.outs, renamed);
      const { inputs } = await endpoint.check({ ...created.endpoint.inputs, name: "snack-renamed" });
      await endpoint.update(created.endpoint.id, created.endpoint.outs, inputs);
      await template.update(created.template.id, renamed, await changedTemplate(renamed));
      const { templates, endpoints } = runpod.snapshot();
      expect(templates.map(({ name }) => name)).toEqual(["snack-renamed"]);
      expect(endpoints.map(({ name, image }) => [name, image])).toEqual([
        ["snack-renamed", "registry.example/phi3:2026-12-01"],
      ]);
    });
  });

  describe("A refresh of an endpoint", () => {
    it.each([2, 0])(
      "shows drift when RunPod has lowered workersMax to %i, and an update restores the declared value",
      async (workersMax) => {
        const { runpod, endpoint } = fixture();
        const { endpoint: created } = await deployed();
        runpod.setWorkersMax(created.id, workersMax);
        const read = await endpoint.read(created.id, created.outs);
        expect(read.inputs).toEqual({ ...created.inputs, workersMax });
        expect((await endpoint.diff(created.id, read.outs, created.inputs)).changes).toBe(true);
        await endpoint.update(created.id, read.outs, created.inputs);
        expect(runpod.snapshot().endpoints[0]?.workersMax).toBe(3);
      },
    );
  });

  describe("A repeated operation", () => {
    it("creates no duplicate when the response to the first create was lost", async () => {
      const { runpod } = fixture();
      for (const operation of ["createRegistryAuth", "saveTemplate", "saveEndpoint"] as const)
        runpod.failNext(operation, "lost answer");
      const created = await deployed();
      const { templates, endpoints, registryAuths } = runpod.snapshot();
      expect([registryAuths, templates, endpoints].map((resources) => resources.map(({ id }) => id))).toEqual([
        [created.auth.id],
        [created.template.id],
        [created.endpoint.id],
      ]);
    });

    it("applies an update even if the response to the first attempt was lost", async () => {
      const { runpod, template } = fixture();
      const created = await deployed();
      runpod.failNext("saveTemplate", "lost answer");
      await template.update(created.template.id, created.template.outs, await changedTemplate(created.template.inputs));
      expect(runpod.snapshot().endpoints[0]?.image).toBe("registry.example/phi3:2026-12-01");
    });

    it("deletes a resource even if the response to the first attempt was lost", async () => {
      const { runpod, endpoint, template, registryAuth } = fixture();
      const created = await deployed();
      for (const operation of ["deleteEndpoint", "deleteTemplate", "deleteRegistryAuth"] as const)
        runpod.failNext(operation, "lost answer");
      await endpoint.delete(created.endpoint.id, created.endpoint.outs);
      await template.delete(created.template.id, created.template.outs);
      await registryAuth.delete(created.auth.id, created.auth.outs);
      expect(runpod.snapshot()).toEqual({ templates: [], endpoints: [], registryAuths: [] });
    });

    it("sets the new password when it adopts the credentials of an earlier create", async () => {
      const { runpod, registryAuth, registryAuthInputs } = fixture();
      await createResource(registryAuth, { ...registryAuthInputs, password: "canary-earlier-password" });
      await createResource(registryAuth, registryAuthInputs);
      expect(runpod.snapshot().registryAuths.map(({ password }) => password)).toEqual(["canary-registry-password"]);
    });
  });

  describe("A failed call", () => {
    itOnFake("records the resource's id when the resource exists but could not be adopted", async () => {
      const { runpod, template, templateInputs } = fixture();
      const { inputs } = await template.check(templateInputs);
      runpod.failNext("saveTemplate", "lost answer");
      runpod.failNext("saveTemplate", { message: "Image not accessible." });
      const error = await failure(template.create(inputs));
      const [{ id } = { id: "" }] = runpod.snapshot().templates;
      expect(unfinished(error)).toMatchObject({
        id,
        properties: inputs,
        reasons: [expect.stringMatching(/Image not/)],
      });
    });

    it("records the attempted inputs when the outcome of an update is unknown", async () => {
      const { runpod, template } = fixture();
      const created = await deployed();
      const inputs = await changedTemplate(created.template.inputs);
      for (let n = 0; n < 20; n++) runpod.failNext("saveTemplate", { status: 503 });
      const error = await failure(template.update(created.template.id, created.template.outs, inputs));
      const kept = unfinished(error);
      expect(kept).toMatchObject({ id: created.template.id, properties: inputs });
      expect((await template.diff(created.template.id, kept?.properties ?? {}, created.template.inputs)).changes).toBe(
        true,
      );
    });

    itOnFake("is retried after the wait that a 429 requests, if the retry limit allows this wait", async () => {
      const { runpod, template, templateInputs } = fixture();
      runpod.failNext("saveTemplate", { status: 429, retryAfterSeconds: 0 });
      await createResource(template, templateInputs);
      expect(runpod.snapshot().templates).toHaveLength(1);
      runpod.reset();
      runpod.failNext("saveTemplate", { status: 429, retryAfterSeconds: 7_200 });
      await expect(createResource(template, templateInputs)).rejects.toThrow(
        "HTTP 429 (tried once; RunPod asks to wait 7200 s, runpodRetryLimitMs allows 1 s)",
      );
    });

    itOnFake("does not change the state when RunPod refuses an update", async () => {
      const { runpod, template } = fixture();
      const created = await deployed();
      runpod.failNext("saveTemplate", { message: "Image not accessible." });
      const error = await failure(
        template.update(created.template.id, created.template.outs, await changedTemplate(created.template.inputs)),
      );
      expect(unfinished(error)).toBeUndefined();
    });
  });

  describe("Deletes", () => {
    it.each([
      ["endpoint", "template", "registryAuth"],
      ["registryAuth", "endpoint", "template"],
      ["endpoint", "registryAuth", "template"],
    ] as const)("succeed in the order %s, %s, %s, and succeed again when they are repeated", async (...order) => {
      const current = fixture();
      const { endpoint, template, auth: registryAuth } = await deployed();
      current.runpod.keepInUse(1);
      const created = { endpoint, template, registryAuth };
      for (const kind of order) await current[kind].delete(created[kind].id, created[kind].outs);
      for (const kind of order) await current[kind].delete(created[kind].id, created[kind].outs);
      expect(current.runpod.snapshot()).toEqual({ templates: [], endpoints: [], registryAuths: [] });
    });
  });

  describe("The name of another stack's resource", () => {
    it("is rejected for a new template during preview", async () => {
      const { runpod, template, templateInputs } = fixture();
      const { id } = await createResource(template, { ...templateInputs, owner: "snack-misaki/prod" });
      const { failures } = await template.check(templateInputs);
      expect(failures).toEqual([
        {
          property: "name",
          reason: expect.stringContaining(
            `RunPod already has a template named "snack-phi3" (${id}). It belongs to snack-misaki/prod, not to snack-misaki/dev.`,
          ),
        },
      ]);
      await expect(template.create(templateInputs)).rejects.toThrow("RunPod already has a template");
      expect(runpod.snapshot().templates).toHaveLength(1);
    });

    it("is rejected for a new endpoint during its creation", async () => {
      const { runpod, endpoint } = fixture();
      const created = await deployed();
      await expect(endpoint.create({ ...created.endpoint.inputs, owner: "snack-misaki/prod" })).rejects.toThrow(
        `RunPod already has an endpoint named "snack-phi3" (${created.endpoint.id}) that does not belong to snack-misaki/prod.`,
      );
      expect(runpod.snapshot().endpoints).toHaveLength(1);
    });
  });

  describe("Registry credentials", () => {
    it("are rejected when their name does not begin with the stack's prefix", async () => {
      const { registryAuth, registryAuthInputs } = fixture();
      const { failures } = await registryAuth.check({ ...registryAuthInputs, name: "ghcr" });
      expect(failures).toEqual([
        { property: "name", reason: 'must begin with snack-misaki-dev-, the prefix of this stack, got "ghcr"' },
      ]);
    });

    it("are replaced when their name changes, and the old credentials are deleted after the replacement", async () => {
      const { registryAuth, registryAuthInputs } = fixture();
      const { id, outs } = await createResource(registryAuth, registryAuthInputs);
      const { inputs } = await registryAuth.check({ ...registryAuthInputs, name: "snack-misaki-dev-ghcr" }, outs);
      expect(await registryAuth.diff(id, outs, inputs)).toEqual({ changes: true, replaces: ["name"] });
    });

    it("are deleted before their replacement is created when the name stays the same", async () => {
      const { registryAuth, registryAuthInputs } = fixture();
      const { id, inputs, outs } = await createResource(registryAuth, registryAuthInputs);
      expect(await registryAuth.diff(id, outs, inputs)).toMatchObject({ changes: false, deleteBeforeReplace: true });
    });

    itOnFake("never show their password in a rejection, error or log", async () => {
      const { runpod, engine, registryAuth, registryAuthInputs } = fixture();
      const quoted = { message: "no registry takes canary-registry-password for AWS" };
      runpod.failNext("createRegistryAuth", quoted);
      await expect(createResource(registryAuth, registryAuthInputs)).rejects.toThrow("no registry takes *** for AWS");
      const { failures } = await registryAuth.check({
        ...registryAuthInputs,
        password: { a: "canary-registry-password" },
      });
      expect(failures).toEqual([{ property: "password", reason: "must be a text" }]);
      expect(engine.output()).not.toContain("canary-registry-password");
    });

    it("accept unknown values during preview", async () => {
      const { registryAuth, registryAuthInputs } = fixture();
      const { id, outs } = await createResource(registryAuth, registryAuthInputs);
      for (const field of ["name", "username", "password"]) {
        const { inputs, failures } = await registryAuth.check({ ...registryAuthInputs, [field]: UNKNOWN }, outs);
        expect(failures).toEqual([]);
        expect((await registryAuth.diff(id, outs, inputs)).changes).toBe(true);
      }
    });

    it("are removed from the state by a refresh after somebody has deleted them at RunPod", async () => {
      const { runpod, registryAuth, registryAuthInputs } = fixture();
      const { id, inputs, outs } = await createResource(registryAuth, registryAuthInputs);
      runpod.reset();
      expect((await registryAuth.read(id, outs)).id).toBe("");
      await expect(registryAuth.update(id, outs, inputs)).rejects.toThrow(/no longer exists.*pulumi refresh/);
      await registryAuth.delete(id, outs);
    });
  });

  describe("The API key", () => {
    itOnFake("is sent as a bearer token, and does not appear in an error or log", async () => {
      const { runpod, engine, template, templateInputs } = fixture();
      await createResource(template, templateInputs);
      expect(runpod.calls.every(({ authorization }) => authorization === `Bearer ${runpod.apiKey}`)).toBe(true);
      runpod.failNext("saveTemplate", { message: `No, ${runpod.apiKey}, no.` });
      await expect(createResource(template, templateInputs)).rejects.toThrow("No, ***, no.");
      expect(engine.output()).not.toContain(runpod.apiKey);
    });

    it("makes every call throw when RunPod does not know the key", async () => {
      const { program, config, registered, template, templateInputs } = fixture();
      const { id, outs } = await createResource(template, templateInputs);
      const engine = await startEngine(program.folder, { ...config, runpodApiKey: "rpa_WRONG" });
      try {
        const resource = engine.resource(registered.template.type);
        await expect(resource.read(id, outs)).rejects.toThrow("the API key (runpodApiKey) is not valid");
        await expect(resource.delete(id, outs)).rejects.toThrow("the API key (runpodApiKey) is not valid");
      } finally {
        await engine.close();
      }
    });
  });

  it("show no diff when an older provider wrote the state with fewer fields", async () => {
    const { endpoint } = fixture();
    const { endpoint: created } = await deployed();
    const { modelReferences: _, minCudaVersion: __, ...older } = created.outs;
    expect((await endpoint.diff(created.id, older, created.inputs)).changes).toBe(false);
  });

  it("show no diff after an edit of the provider's code, and a delete runs the edited code", async () => {
    const { program, config, registered, runpod } = fixture();
    const created = await deployed();
    await program.edit('console.error("edited provider");');
    const engine = await startEngine(program.folder, config);
    try {
      for (const [kind, { id, inputs, outs }] of [
        ["endpoint", created.endpoint],
        ["template", created.template],
        ["registryAuth", created.auth],
      ] as const) {
        const resource = engine.resource(registered[kind].type);
        const older = { ...outs, __provider: `${outs.__provider}\n` };
        expect((await resource.diff(id, older, inputs)).changes).toBe(false);
        await resource.delete(id, older);
      }
      expect(runpod.snapshot()).toEqual({ templates: [], endpoints: [], registryAuths: [] });
      await expect.poll(() => engine.output()).toContain("edited provider");
    } finally {
      await engine.close();
    }
  });
});
