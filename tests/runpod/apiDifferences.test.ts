import { describe, expect, it } from "vitest";
import { createResource, fakeFixtures } from "./fixture";

describe("The input check with the REST API", () => {
  const fixture = fakeFixtures.rest();

  it.each([
    [
      { modelReferences: ["https://huggingface.co/microsoft/Phi-3.5-mini-instruct:main"] },
      "modelReferences",
      /is not supported by RunPod's REST API: put the model into the image/,
    ],
    [{ scalerType: "REQUEST_COUNT" }, "scalerType", /must be QUEUE_DELAY: RunPod's REST API refuses REQUEST_COUNT/],
  ])("rejects an endpoint with %j", async (change, property, reason) => {
    const { endpoint, endpointInputs } = fixture();
    const { failures } = await endpoint.check({ ...endpointInputs, ...change });
    expect(failures).toEqual([{ property, reason: expect.stringMatching(reason) }]);
  });
});

describe.each(["graphql", "rest"] as const)("The %s API", (api) => {
  const fixture = fakeFixtures[api]();

  it("changes registry credentials in place", async () => {
    const { runpod, registryAuth, registryAuthInputs } = fixture();
    const { id, outs } = await createResource(registryAuth, registryAuthInputs);
    const { inputs } = await registryAuth.check({ ...registryAuthInputs, password: "canary-new-token" }, outs);
    expect(await registryAuth.diff(id, outs, inputs)).toMatchObject({ changes: true, replaces: [] });
    await registryAuth.update(id, outs, inputs);
    expect(runpod.snapshot().registryAuths).toEqual([
      { id, name: "snack-misaki-dev-registry", username: "AWS", password: "canary-new-token" },
    ]);
  });
});

describe("The GraphQL API", () => {
  const fixture = fakeFixtures.graphql();

  it("stores an endpoint's model references", async () => {
    const { runpod, template, templateInputs, endpoint, endpointInputs } = fixture();
    const { id: templateId } = await createResource(template, templateInputs);
    const modelReferences = ["https://huggingface.co/microsoft/Phi-3.5-mini-instruct:main"];
    const { id, inputs, outs } = await createResource(endpoint, { ...endpointInputs, templateId, modelReferences });
    const saved = runpod.calls.findLast(({ operation }) => operation === "saveEndpoint");
    expect(saved?.input).toMatchObject({ modelReferences });
    expect((await endpoint.read(id, outs)).inputs).toEqual(inputs);
  });
});

describe("An endpoint with the REST API", () => {
  const fixture = fakeFixtures.rest();

  it("gets its template's new image even if its SNACK_MISAKI_TEMPLATE variable is missing", async () => {
    const { runpod, template, templateInputs, endpoint, endpointInputs } = fixture();
    const first = await createResource(template, templateInputs);
    const second = await createResource(endpoint, { ...endpointInputs, templateId: first.id });
    delete runpod.snapshot().endpoints[0]?.env.SNACK_MISAKI_TEMPLATE;
    expect((await endpoint.read(second.id, second.outs)).inputs).toEqual(second.inputs);
    const { inputs } = await template.check({ ...first.inputs, imageName: "registry.example/phi3:2026-12-01" });
    await template.update(first.id, first.outs, inputs);
    const [updated] = runpod.snapshot().endpoints;
    expect(updated).toMatchObject({ image: inputs.imageName, env: { SNACK_MISAKI_TEMPLATE: first.id } });
  });

  it("shows drift when its container differs from its template, and an update corrects the container", async () => {
    const { runpod, template, templateInputs, endpoint, endpointInputs } = fixture();
    const first = await createResource(template, templateInputs);
    const second = await createResource(endpoint, { ...endpointInputs, templateId: first.id });
    const [drifted] = runpod.snapshot().endpoints;
    if (drifted === undefined) throw new Error("The endpoint does not exist.");
    drifted.env.MODEL = "mistral";
    const read = await endpoint.read(second.id, second.outs);
    expect(read.inputs).toEqual({ ...second.inputs, templateId: "" });
    await endpoint.update(second.id, read.outs, second.inputs);
    expect(runpod.snapshot().endpoints[0]?.env.MODEL).toBe("phi3");
  });
});
