import { describe, expect, it } from "vitest";
import { startEngine } from "./engine";
import { make, stage } from "./stage";

const on = stage();

describe("the program", () => {
  it("registers the resources under their types, and sees what RunPod made", () => {
    const { registryAuth, template, endpoint, seen } = on().registered;
    expect(registryAuth.type).toBe("pulumi-nodejs:dynamic/runpod:RegistryAuth");
    expect(template.type).toBe("pulumi-nodejs:dynamic/runpod:Template");
    expect(endpoint.type).toBe("pulumi-nodejs:dynamic/runpod:Endpoint");
    expect(template.inputs.owner).toBe("snack-misaki/dev");
    expect(seen).toEqual({ id: "worker-id", templateId: "worker-id", workersMax: 3 });
  });

  it("hands a registry's password to the engine as a secret", () => {
    expect(on().registered.registryAuth.secrets).toEqual(["password"]);
  });

  it("keeps only forwarding methods in the state", () => {
    const { templateInputs, endpointInputs, registryAuthInputs } = on();
    for (const { __provider } of [templateInputs, endpointInputs, registryAuthInputs]) {
      expect([...String(__provider).matchAll(/require\((.*?)\)/g)].map(([, path]) => path)).toEqual([
        '"./.build/runpod/provider.cjs"',
      ]);
      expect(String(__provider).length).toBeLessThan(3_000);
    }
  });
});

describe("editing the provider's code", () => {
  it("changes nothing on existing resources, and today's code deletes them", async () => {
    const { program, config, registered, runpod, template, templateInputs } = on();
    const { id, inputs, outs } = await make(template, templateInputs);
    await program.edit('console.error("edited provider");');
    const engine = await startEngine(program.folder, config);
    try {
      const resource = engine.resource(registered.template.type);
      expect((await resource.diff(id, outs, inputs)).changes).toBe(false);
      await resource.delete(id, outs);
      expect(runpod.templates.size).toBe(0);
      expect(engine.output()).toContain("edited provider");
    } finally {
      await engine.close();
    }
  });

  it("shows no change even where the forwarding text in the state is another", async () => {
    const { template, templateInputs } = on();
    const { id, inputs, outs } = await make(template, templateInputs);
    const older = { ...outs, __provider: `${outs.__provider}\n` };
    expect((await template.diff(id, older, inputs)).changes).toBe(false);
  });
});

describe("the API key", () => {
  it("goes out as a bearer token only: not into the state, an error or the log", async () => {
    const { runpod, engine, template, templateInputs } = on();
    const { id, outs } = await make(template, templateInputs);
    expect(runpod.calls.every((call) => call.authorization === `Bearer ${runpod.apiKey}`)).toBe(true);
    expect(JSON.stringify([outs, await template.read(id, outs)])).not.toContain(runpod.apiKey);
    runpod.failNext("saveTemplate", { message: `No, Bearer ${runpod.apiKey}, no.` });
    await expect(template.update(id, outs, outs)).rejects.toThrow("RunPod refused saveTemplate: No, Bearer ***, no.");
    expect(engine.output()).not.toContain(runpod.apiKey);
  });

  it("is not told by a refusal that quotes what was sent", async () => {
    const { runpod, template, templateInputs } = on();
    const { id, outs } = await make(template, templateInputs);
    const message =
      'Variable "$input" got invalid value "canary" at "input.env[0].value"; Expected "canary"\nto be less.';
    runpod.failNext("saveTemplate", { message });
    await expect(template.update(id, outs, outs)).rejects.toThrow(
      /RunPod refused saveTemplate: Variable "\$input" got invalid value$/,
    );
  });
});
