import { unknownValue as UNKNOWN } from "@pulumi/pulumi/runtime/rpc";
import { describe, expect, it } from "vitest";
import { startEngine, unfinished } from "./engine";
import type { Properties } from "./program";
import { bothApis, doubleApis, make } from "./stage";

/** The error of a call that must fail. */
async function failure(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => {
      throw new Error("did not fail");
    },
    (error: unknown) => error,
  );
}

/** The provider's own fields: without Pulumi's. */
function own({ __provider: _, ...fields }: Properties): Properties {
  return fields;
}

// What holds whichever API carries it, and whoever stands in for RunPod.
describe.each([
  ["graphql", bothApis.graphql, true],
  ["rest", bothApis.rest, true],
  ["graphql, on the RunPod of npm start", doubleApis.graphql, false],
  ["rest, on the RunPod of npm start", doubleApis.rest, false],
] as const)("through %s", (_name, stageOn, saysAnything) => {
  const on = stageOn();
  /** Tests of what only our own stand-ins can be made to say, and which is said once for each API. */
  const [describeSaid, itSaid] = saysAnything ? [describe, it] : [() => {}, () => {}];

  /** All three, as a deployment makes them. */
  async function deployed(changes: Properties = {}) {
    const { registryAuth, registryAuthInputs, template, templateInputs, endpoint, endpointInputs } = on();
    const auth = await make(registryAuth, registryAuthInputs);
    const first = await make(template, { ...templateInputs, containerRegistryAuthId: auth.id });
    const second = await make(endpoint, { ...endpointInputs, templateId: first.id, ...changes });
    return { auth, template: first, endpoint: second };
  }

  async function bumped(inputs: Properties, change: Properties = { imageName: "registry.example/phi3:2026-12-01" }) {
    const { inputs: next, failures } = await on().template.check({ ...inputs, ...change }, inputs);
    expect(failures).toEqual([]);
    return next;
  }

  describe("a deployment", () => {
    it("makes each thing once, as the program has it", async () => {
      const { runpod } = on();
      const made = await deployed();
      const { templates, endpoints, registryAuths } = runpod.seen();
      expect(registryAuths).toEqual([
        { id: made.auth.id, name: "snack-misaki-dev-registry", username: "AWS", password: "canary-registry-password" },
      ]);
      const container = {
        image: "registry.example/phi3:2026-11-01",
        diskGb: 30,
        registryId: made.auth.id,
        env: expect.objectContaining({ MODEL: "phi3", SNACK_MISAKI_STACK: "snack-misaki/dev" }),
      };
      expect(templates).toEqual([{ id: made.template.id, name: "snack-phi3", ...container }]);
      expect(endpoints).toEqual([
        {
          id: made.endpoint.id,
          name: "snack-phi3",
          workersMin: 0,
          workersMax: 3,
          gpus: expect.anything(),
          ...container,
        },
      ]);
      expect(endpoints[0]?.gpus.sort()).toEqual(["-NVIDIA L4", "AMPERE_16", "AMPERE_24"]);
    });

    it("has nothing to do the next time, nor after a refresh", async () => {
      const { registryAuth, template, endpoint } = on();
      const made = await deployed();
      for (const [resource, { id, inputs, outs }] of [
        [registryAuth, made.auth],
        [template, made.template],
        [endpoint, made.endpoint],
      ] as const) {
        expect((await resource.diff(id, outs, inputs)).changes).toBe(false);
        const read = await resource.read(id, outs);
        expect(read).toEqual({ id, outs, inputs });
        const { inputs: again, failures } = await resource.check(inputs, inputs);
        expect(failures).toEqual([]);
        expect((await resource.diff(id, read.outs, again)).changes).toBe(false);
      }
    });

    it("is read back whole for an import, all but the password", async () => {
      const { registryAuth, template, endpoint } = on();
      const made = await deployed();
      const imported = async (resource: typeof template, { id, inputs: { __provider } }: typeof made.template) =>
        own((await resource.read(id, { __provider })).inputs);
      expect(await imported(template, made.template)).toEqual(own(made.template.inputs));
      const { gpuIds, ...fields } = await imported(endpoint, made.endpoint);
      const { gpuIds: declared, ...expected } = own(made.endpoint.inputs);
      expect(fields).toEqual(expected);
      expect([...(gpuIds as string[])].sort()).toEqual([...(declared as string[])].sort());
      const authProvider = { __provider: made.auth.inputs.__provider };
      const auth = await registryAuth.read(made.auth.id, authProvider);
      expect(own(auth.inputs)).toEqual({ name: "snack-misaki-dev-registry", owner: "" });
      const next = await registryAuth.check(made.auth.inputs, auth.inputs);
      expect(next.failures).toEqual([]);
      expect((await registryAuth.diff(auth.id, auth.outs, next.inputs)).replaces).toEqual([]);
      await registryAuth.update(auth.id, auth.outs, next.inputs);
      expect(on().runpod.seen().registryAuths).toHaveLength(1);
    });
  });

  describe("a new image tag", () => {
    it("changes the template in place, and reaches the endpoint's workers by that alone", async () => {
      const { runpod, template } = on();
      const made = await deployed();
      const inputs = await bumped(made.template.inputs);
      expect(await template.diff(made.template.id, made.template.outs, inputs)).toEqual({
        changes: true,
        replaces: [],
      });
      await template.update(made.template.id, made.template.outs, inputs);
      const { templates, endpoints } = runpod.seen();
      expect(templates.map(({ image }) => image)).toEqual(["registry.example/phi3:2026-12-01"]);
      expect(endpoints.map(({ id, image }) => [id, image])).toEqual([
        [made.endpoint.id, "registry.example/phi3:2026-12-01"],
      ]);
    });

    it("leaves endpoints of other templates alone", async () => {
      const { runpod, template, templateInputs, endpoint, endpointInputs } = on();
      const made = await deployed();
      const other = await make(template, { ...templateInputs, name: "snack-other" });
      await make(endpoint, { ...endpointInputs, name: "snack-other", templateId: other.id });
      await template.update(made.template.id, made.template.outs, await bumped(made.template.inputs));
      const images = runpod.seen().endpoints.map(({ name, image }) => [name, image]);
      expect(Object.fromEntries(images)).toEqual({
        "snack-phi3": "registry.example/phi3:2026-12-01",
        "snack-other": "registry.example/phi3:2026-11-01",
      });
    });

    it("takes a variable out of the workers' environment, and other credentials in", async () => {
      const { runpod, template, registryAuth, registryAuthInputs } = on();
      const made = await deployed();
      const other = await make(registryAuth, { ...registryAuthInputs, name: "snack-misaki-dev-other" });
      const inputs = await bumped(made.template.inputs, { env: { MODEL: "phi3" }, containerRegistryAuthId: other.id });
      await template.update(made.template.id, made.template.outs, inputs);
      const [seen] = runpod.seen().endpoints;
      expect(seen?.env).not.toHaveProperty("TICKET_ISSUER");
      expect(seen?.registryId).toBe(other.id);
    });

    it("keeps following after the template and the endpoint have new names", async () => {
      const { runpod, template, endpoint } = on();
      const made = await deployed();
      const renamed = await bumped(made.template.inputs, { name: "snack-renamed" });
      await template.update(made.template.id, made.template.outs, renamed);
      const { inputs } = await endpoint.check({ ...made.endpoint.inputs, name: "snack-renamed" });
      await endpoint.update(made.endpoint.id, made.endpoint.outs, inputs);
      await template.update(made.template.id, renamed, await bumped(renamed));
      const { templates, endpoints } = runpod.seen();
      expect(templates.map(({ name }) => name)).toEqual(["snack-renamed"]);
      expect(endpoints.map(({ name, image }) => [name, image])).toEqual([
        ["snack-renamed", "registry.example/phi3:2026-12-01"],
      ]);
    });
  });

  describe("drift", () => {
    it.each([2, 0])("of workersMax to %i, after idle days, is shown and restored", async (workersMax) => {
      const { runpod, endpoint } = on();
      const { endpoint: made } = await deployed();
      runpod.setWorkersMax(made.id, workersMax);
      const read = await endpoint.read(made.id, made.outs);
      expect(read.inputs).toEqual({ ...made.inputs, workersMax });
      expect((await endpoint.diff(made.id, read.outs, made.inputs)).changes).toBe(true);
      await endpoint.update(made.id, read.outs, made.inputs);
      expect(runpod.seen().endpoints[0]?.workersMax).toBe(3);
    });
  });

  describe("a lost answer", () => {
    it("of a create is found again: one of each", async () => {
      const { runpod } = on();
      for (const operation of ["createRegistryAuth", "saveTemplate", "saveEndpoint"] as const)
        runpod.failNext(operation, "lost answer");
      const made = await deployed();
      const { templates, endpoints, registryAuths } = runpod.seen();
      expect([registryAuths, templates, endpoints].map((things) => things.map(({ id }) => id))).toEqual([
        [made.auth.id],
        [made.template.id],
        [made.endpoint.id],
      ]);
    });

    it("of an update is asked for again", async () => {
      const { runpod, template } = on();
      const made = await deployed();
      runpod.failNext("saveTemplate", "lost answer");
      await template.update(made.template.id, made.template.outs, await bumped(made.template.inputs));
      expect(runpod.seen().endpoints[0]?.image).toBe("registry.example/phi3:2026-12-01");
    });

    it("of a delete is as good as any", async () => {
      const { runpod, endpoint, template, registryAuth } = on();
      const made = await deployed();
      for (const operation of ["deleteEndpoint", "deleteTemplate", "deleteRegistryAuth"] as const)
        runpod.failNext(operation, "lost answer");
      await endpoint.delete(made.endpoint.id, made.endpoint.outs);
      await template.delete(made.template.id, made.template.outs);
      await registryAuth.delete(made.auth.id, made.auth.outs);
      expect(runpod.seen()).toEqual({ templates: [], endpoints: [], registryAuths: [] });
    });

    it("of credentials made at another time is not taken for theirs: they get the password of now", async () => {
      const { runpod, registryAuth, registryAuthInputs } = on();
      await make(registryAuth, { ...registryAuthInputs, password: "canary-of-yesterday" });
      await make(registryAuth, registryAuthInputs);
      expect(runpod.seen().registryAuths.map(({ password }) => password)).toEqual(["canary-registry-password"]);
    });
  });

  describe("half a failure", () => {
    itSaid("keeps the id of a thing that was found but could not be taken over", async () => {
      const { runpod, template, templateInputs } = on();
      const { inputs } = await template.check(templateInputs);
      runpod.failNext("saveTemplate", "lost answer");
      runpod.failNext("saveTemplate", { message: "Image not accessible." });
      const error = await failure(template.create(inputs));
      const [{ id } = { id: "" }] = runpod.seen().templates;
      expect(unfinished(error)).toMatchObject({
        id,
        properties: inputs,
        reasons: [expect.stringMatching(/Image not/)],
      });
    });

    it("of an update that may have been done keeps what it was to become: a program gone back finds a change", async () => {
      const { runpod, template } = on();
      const made = await deployed();
      const inputs = await bumped(made.template.inputs);
      for (let n = 0; n < 4; n++) runpod.failNext("saveTemplate", { status: 503 });
      const error = await failure(template.update(made.template.id, made.template.outs, inputs));
      const kept = unfinished(error);
      expect(kept).toMatchObject({ id: made.template.id, properties: inputs });
      expect((await template.diff(made.template.id, kept?.properties ?? {}, made.template.inputs)).changes).toBe(true);
    });

    itSaid("of an update that was refused leaves the state as it was", async () => {
      const { runpod, template } = on();
      const made = await deployed();
      runpod.failNext("saveTemplate", { message: "Image not accessible." });
      const error = await failure(
        template.update(made.template.id, made.template.outs, await bumped(made.template.inputs)),
      );
      expect(unfinished(error)).toBeUndefined();
    });
  });

  describeSaid("patience", () => {
    it("waits as long as RunPod asks for after 429, and not for hours", async () => {
      const { runpod, template, templateInputs } = on();
      runpod.failNext("saveTemplate", { status: 429, retryAfterSeconds: 1 });
      await make(template, templateInputs);
      expect(runpod.seen().templates).toHaveLength(1);
      runpod.reset();
      runpod.failNext("saveTemplate", { status: 429, retryAfterSeconds: 7_200 });
      await expect(make(template, templateInputs)).rejects.toThrow("HTTP 429 (tried 1 times)");
    });
  });

  describe("deleting", () => {
    it.each([
      ["endpoint", "template", "registryAuth"],
      ["registryAuth", "endpoint", "template"],
      ["endpoint", "registryAuth", "template"],
    ] as const)("leaves nothing: %s, %s, %s", async (...order) => {
      const stage = on();
      const made = await deployed();
      stage.runpod.hold(1);
      const things = { endpoint: made.endpoint, template: made.template, registryAuth: made.auth };
      for (const kind of order) await stage[kind].delete(things[kind].id, things[kind].outs);
      for (const kind of order) await stage[kind].delete(things[kind].id, things[kind].outs);
      expect(stage.runpod.seen()).toEqual({ templates: [], endpoints: [], registryAuths: [] });
    });
  });

  describe("what somebody else has made", () => {
    it("keeps its template's name: refused in the preview already", async () => {
      const { runpod, template, templateInputs } = on();
      const { id } = await make(template, { ...templateInputs, owner: "snack-misaki/prod" });
      const { failures } = await template.check(templateInputs);
      expect(failures).toEqual([
        {
          property: "name",
          reason: expect.stringContaining(
            `RunPod already has a template named "snack-phi3" (${id}), made by snack-misaki/prod and not by snack-misaki/dev.`,
          ),
        },
      ]);
      await expect(template.create(templateInputs)).rejects.toThrow("RunPod already has a template");
      expect(runpod.seen().templates).toHaveLength(1);
    });

    it("keeps its endpoint", async () => {
      const { runpod, endpoint } = on();
      const made = await deployed();
      await expect(endpoint.create({ ...made.endpoint.inputs, owner: "snack-misaki/prod" })).rejects.toThrow(
        `RunPod already has an endpoint named "snack-phi3" (${made.endpoint.id}) that snack-misaki/prod did not make.`,
      );
      expect(runpod.seen().endpoints).toHaveLength(1);
    });
  });

  describe("registry credentials", () => {
    it("of a name without the stack's mark are refused: nobody could tell whose they are", async () => {
      const { registryAuth, registryAuthInputs } = on();
      const { failures } = await registryAuth.check({ ...registryAuthInputs, name: "ghcr" });
      expect(failures).toEqual([
        { property: "name", reason: 'must begin with snack-misaki-dev-, the mark of this stack, got "ghcr"' },
      ]);
    });

    it("of another name are other ones: the new before the old, so that no worker is without", async () => {
      const { registryAuth, registryAuthInputs } = on();
      const { id, outs } = await make(registryAuth, registryAuthInputs);
      const { inputs } = await registryAuth.check({ ...registryAuthInputs, name: "snack-misaki-dev-ghcr" }, outs);
      expect(await registryAuth.diff(id, outs, inputs)).toEqual({ changes: true, replaces: ["name"] });
    });

    it("replaced under the same name go first", async () => {
      const { registryAuth, registryAuthInputs } = on();
      const { id, inputs, outs } = await make(registryAuth, registryAuthInputs);
      expect(await registryAuth.diff(id, outs, inputs)).toMatchObject({ changes: false, deleteBeforeReplace: true });
    });

    itSaid("never show their password: not in a refusal, an error or the log", async () => {
      const { runpod, engine, registryAuth, registryAuthInputs } = on();
      const quoted = { message: "no registry takes canary-registry-password for AWS" };
      runpod.failNext("createRegistryAuth", quoted);
      await expect(make(registryAuth, registryAuthInputs)).rejects.toThrow("no registry takes *** for AWS");
      const { failures } = await registryAuth.check({
        ...registryAuthInputs,
        password: { a: "canary-registry-password" },
      });
      expect(failures).toEqual([{ property: "password", reason: "must be a text" }]);
      expect(engine.output()).not.toContain("canary-registry-password");
    });

    it("tolerate what is not known yet", async () => {
      const { registryAuth, registryAuthInputs } = on();
      const { id, outs } = await make(registryAuth, registryAuthInputs);
      for (const field of ["name", "username", "password"]) {
        const { inputs, failures } = await registryAuth.check({ ...registryAuthInputs, [field]: UNKNOWN }, outs);
        expect(failures).toEqual([]);
        expect((await registryAuth.diff(id, outs, inputs)).changes).toBe(true);
      }
    });

    it("that are gone are gone for Pulumi, and an update says what to do", async () => {
      const { runpod, registryAuth, registryAuthInputs } = on();
      const { id, inputs, outs } = await make(registryAuth, registryAuthInputs);
      runpod.reset();
      expect((await registryAuth.read(id, outs)).id).toBe("");
      await expect(registryAuth.update(id, outs, inputs)).rejects.toThrow(/gone from RunPod.*pulumi refresh/);
      await registryAuth.delete(id, outs);
    });
  });

  describe("the key", () => {
    itSaid("is in no error and no log, and goes out as a bearer token", async () => {
      const { runpod, engine, template, templateInputs } = on();
      await make(template, templateInputs);
      expect(runpod.calls.every(({ authorization }) => authorization === `Bearer ${runpod.apiKey}`)).toBe(true);
      runpod.failNext("saveTemplate", { message: `No, ${runpod.apiKey}, no.` });
      await expect(make(template, templateInputs)).rejects.toThrow("No, ***, no.");
      expect(engine.output()).not.toContain(runpod.apiKey);
    });

    it("that RunPod does not know is an error, never an empty account", async () => {
      const { program, config, registered, template, templateInputs } = on();
      const { id, outs } = await make(template, templateInputs);
      const engine = await startEngine(program.folder, { ...config, runpodApiKey: "rpa_WRONG" });
      try {
        const resource = engine.resource(registered.template.type);
        await expect(resource.read(id, outs)).rejects.toThrow("the API key is not valid");
        await expect(resource.delete(id, outs)).rejects.toThrow("the API key is not valid");
      } finally {
        await engine.close();
      }
    });
  });

  it("the state of a build that knew fewer fields shows no change", async () => {
    const { endpoint } = on();
    const { endpoint: made } = await deployed();
    const { modelReferences: _, minCudaVersion: __, ...older } = made.outs;
    expect((await endpoint.diff(made.id, older, made.inputs)).changes).toBe(false);
  });

  it("editing the provider's code changes nothing on any resource, and today's code deletes yesterday's", async () => {
    const { program, config, registered, runpod } = on();
    const made = await deployed();
    await program.edit('console.error("edited provider");');
    const engine = await startEngine(program.folder, config);
    try {
      for (const [kind, { id, inputs, outs }] of [
        ["endpoint", made.endpoint],
        ["template", made.template],
        ["registryAuth", made.auth],
      ] as const) {
        const resource = engine.resource(registered[kind].type);
        const yesterday = { ...outs, __provider: `${outs.__provider}\n` };
        expect((await resource.diff(id, yesterday, inputs)).changes).toBe(false);
        await resource.delete(id, yesterday);
      }
      expect(runpod.seen()).toEqual({ templates: [], endpoints: [], registryAuths: [] });
      expect(engine.output()).toContain("edited provider");
    } finally {
      await engine.close();
    }
  });
});
