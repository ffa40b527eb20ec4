import { describe, expect, it } from "vitest";
import { createResource, doubleFixtures, type Fixture } from "./fixture";
import type { Properties } from "./program";

const OWNER = { SNACK_MISAKI_STACK: "snack-misaki/dev" };

/** Changes a template or an endpoint by hand, as in RunPod's console. */
async function patch({ runpod }: Fixture, path: string, body: object): Promise<void> {
  const headers = { authorization: `Bearer ${runpod.apiKey}`, "content-type": "application/json" };
  const response = await fetch(`${runpod.url}/v2/${path}`, { method: "PATCH", headers, body: JSON.stringify(body) });
  expect(response.status, await response.text()).toBe(200);
}

/** Variables of the stored template and endpoint. */
function variables({ runpod }: Fixture) {
  const { templates, endpoints } = runpod.snapshot();
  return { template: templates[0]?.env ?? {}, endpoint: endpoints[0]?.env ?? {} };
}

/** Refreshes a resource and then applies the program's inputs, as `pulumi refresh` and `pulumi up` do. */
async function refreshAndUp(resource: Fixture["template"], id: string, outs: Properties, inputs: Properties) {
  const read = await resource.read(id, outs);
  const checked = await resource.check(inputs, read.inputs);
  expect(checked.failures).toEqual([]);
  const { changes } = await resource.diff(id, read.outs, checked.inputs);
  const updated = changes ? await resource.update(id, read.outs, checked.inputs) : read.outs;
  return { changes, outs: updated };
}

describe.each(["graphql", "rest"] as const)("A resource in the stack's state (%s)", (api) => {
  const fixture = doubleFixtures[api]();

  it.each([
    ["is missing", {}],
    ["names another stack", { SNACK_MISAKI_STACK: "snack-misaki/prod" }],
  ])("gets its owner tag back after a refresh and an update when the tag of the template %s", async (_, tag) => {
    const here = fixture();
    const { template, endpoint, templateInputs } = here;
    const created = await createResource(template, templateInputs);
    const endpointInputs = { ...here.endpointInputs, templateId: created.id };
    const { id, outs } = await createResource(endpoint, endpointInputs);
    const { SNACK_MISAKI_STACK: _tag, ...env } = variables(here).template;
    await patch(here, `templates/${created.id}`, { env: { ...env, ...tag } });

    const { changes } = await refreshAndUp(template, created.id, created.outs, templateInputs);
    expect(changes).toBe(true);
    expect(variables(here).template).toMatchObject(OWNER);
    await refreshAndUp(endpoint, id, outs, endpointInputs);
    expect(variables(here).endpoint).toMatchObject(OWNER);
    expect((await endpoint.read(id, outs)).outs).toEqual(outs);
  });
});

describe("A resource in the stack's state (rest)", () => {
  const fixture = doubleFixtures.rest();

  it("gets its owner tag back when the tag of the endpoint is missing", async () => {
    const here = fixture();
    const { template, endpoint, templateInputs } = here;
    const created = await createResource(template, templateInputs);
    const endpointInputs = { ...here.endpointInputs, templateId: created.id };
    const { id, outs } = await createResource(endpoint, endpointInputs);
    const { SNACK_MISAKI_STACK: _tag, ...env } = variables(here).endpoint;
    await patch(here, `serverless/${id}`, { env });
    expect(variables(here).endpoint).not.toMatchObject(OWNER);

    const { changes } = await refreshAndUp(endpoint, id, outs, endpointInputs);
    expect(changes).toBe(true);
    expect(variables(here).endpoint).toMatchObject(OWNER);
  });
});

describe("Registry credentials in the stack's state", () => {
  const fixture = doubleFixtures.graphql();

  it("get their owner back when the state has no owner, for example after an import", async () => {
    const { registryAuth, registryAuthInputs } = fixture();
    const { id, outs } = await createResource(registryAuth, registryAuthInputs);
    const { changes, outs: repaired } = await refreshAndUp(
      registryAuth,
      id,
      { ...outs, owner: "" },
      registryAuthInputs,
    );
    expect(changes).toBe(true);
    expect(repaired).toMatchObject({ owner: "snack-misaki/dev" });
  });
});
