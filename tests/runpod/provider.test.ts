import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { startEngine } from "./engine";
import { createResource, graphqlFixture } from "./fixture";

const fixture = graphqlFixture();

describe("The program", () => {
  it("registers the resources under their types and reads the endpoint's outputs", () => {
    const { registryAuth, secret, template, endpoint, endpointOutputs } = fixture().registered;
    expect(registryAuth.type).toBe("pulumi-nodejs:dynamic/runpod:RegistryAuth");
    expect(secret.type).toBe("pulumi-nodejs:dynamic/runpod:Secret");
    expect(template.type).toBe("pulumi-nodejs:dynamic/runpod:Template");
    expect(endpoint.type).toBe("pulumi-nodejs:dynamic/runpod:Endpoint");
    expect(template.inputs.owner).toBe("snack-misaki/dev");
    expect(endpointOutputs).toEqual({ id: "worker-id", templateId: "worker-id", workersMax: 3 });
  });

  it("registers a registry's password and a secret's value as secrets", () => {
    expect(fixture().registered.registryAuth.secrets).toEqual(["password"]);
    expect(fixture().registered.secret.secrets).toEqual(["value"]);
  });

  it("stores only forwarding methods in the state", () => {
    const { templateInputs, endpointInputs, registryAuthInputs, registered } = fixture();
    for (const { __provider } of [templateInputs, endpointInputs, registryAuthInputs, registered.secret.inputs]) {
      expect([...String(__provider).matchAll(/require\((.*?)\)/g)].map(([, path]) => path)).toEqual([
        '"./.build/runpod/provider.cjs"',
      ]);
      expect(String(__provider).length).toBeLessThan(3_000);
    }
  });
});

describe("An edit of the provider's code", () => {
  it("causes no diff, and a delete of an existing resource runs the edited code", async () => {
    const { program, config, registered, runpod, template, templateInputs } = fixture();
    const { id, inputs, outs } = await createResource(template, templateInputs);
    await program.edit('console.error("edited provider");');
    const engine = await startEngine(program.folder, config);
    try {
      const resource = engine.resource(registered.template.type);
      expect((await resource.diff(id, outs, inputs)).changes).toBe(false);
      await resource.delete(id, outs);
      expect(runpod.templates.size).toBe(0);
      await expect.poll(() => engine.output()).toContain("edited provider");
    } finally {
      await engine.close();
    }
  });

  it("causes no diff when only the provider's code in the state differs", async () => {
    const { template, templateInputs } = fixture();
    const { id, inputs, outs } = await createResource(template, templateInputs);
    const older = { ...outs, __provider: `${outs.__provider}\n` };
    expect((await template.diff(id, older, inputs)).changes).toBe(false);
  });
});

describe("Secrets", () => {
  it("do not appear in a state, error or log", async () => {
    const { runpod, engine, template, templateInputs } = fixture();
    const { id, outs } = await createResource(template, templateInputs);
    expect(runpod.calls.every((call) => call.authorization === `Bearer ${runpod.apiKey}`)).toBe(true);
    expect(JSON.stringify([outs, await template.read(id, outs)])).not.toContain(runpod.apiKey);
    runpod.failNext("saveTemplate", { message: `No, Bearer ${runpod.apiKey}, no.` });
    await expect(template.update(id, outs, outs)).rejects.toThrow("RunPod refused saveTemplate: No, Bearer ***, no.");
    expect(engine.output()).not.toContain(runpod.apiKey);
  });

  it("do not appear in the error even if RunPod's message quotes the request", async () => {
    const { runpod, template, templateInputs } = fixture();
    const { id, outs } = await createResource(template, templateInputs);
    const message =
      'Variable "$input" got invalid value "canary" at "input.env[0].value"; Expected "canary"\nto be less.';
    runpod.failNext("saveTemplate", { message });
    await expect(template.update(id, outs, outs)).rejects.toThrow(
      /RunPod refused saveTemplate: Variable "\$input" got invalid value$/,
    );
  });
});

describe("A provider with an invalid setting", () => {
  it("throws the same error for each resource, without a stack trace", async () => {
    const { program, config, registered, templateInputs, endpointInputs } = fixture();
    const engine = await startEngine(program.folder, { ...config, runpodRolloutLimitMs: "soon" });
    const reason = 'runpodRolloutLimitMs: must be a whole number of milliseconds, at least 0, got "soon"';
    try {
      const template = engine.resource(registered.template.type);
      await expect(template.check(templateInputs)).rejects.toThrow(reason);
      await expect(template.check(templateInputs)).rejects.toThrow(reason);
      await expect(engine.resource(registered.endpoint.type).check(endpointInputs)).rejects.toThrow(reason);
      expect(engine.output()).not.toContain("provider.cjs");
    } finally {
      await engine.close();
    }
  });
});

describe("A refresh or destroy without the provider's bundle", () => {
  it("fails with the command that builds the bundle", async () => {
    const { config, registered, templateInputs } = fixture();
    const folder = await mkdtemp(join(tmpdir(), "snack-runpod-empty-"));
    const engine = await startEngine(folder, config);
    try {
      const template = engine.resource(registered.template.type);
      await expect(template.delete("t1", templateInputs)).rejects.toThrow("provider.cjs is missing: run npm ci");
    } finally {
      await engine.close();
      await rm(folder, { recursive: true });
    }
  });
});
