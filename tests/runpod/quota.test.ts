import { describe, expect, it } from "vitest";
import { RunpodError } from "../../runpod/error";
import { saveWithinQuota } from "../../runpod/quota";
import { startEngine } from "./engine";
import { createResource, graphqlFixture } from "./fixture";

const fixture = graphqlFixture();

/** Creates an endpoint. Returns this endpoint and the inputs of a second endpoint. */
async function firstOfTwo() {
  const { template, templateInputs, endpoint, endpointInputs } = fixture();
  const { id: firstTemplate } = await createResource(template, templateInputs);
  const first = await createResource(endpoint, { ...endpointInputs, templateId: firstTemplate });
  const { id: templateId } = await createResource(template, { ...templateInputs, name: "snack-mistral" });
  return { first, second: { ...endpointInputs, name: "snack-mistral", templateId } };
}

const EXPLANATION =
  'Endpoint "snack-mistral" needs 3 of the account\'s 5 workers, but the other endpoints already have 3 (snack-phi3 3). ' +
  "Lower workersMax of an endpoint, ";

it("saveWithinQuota keeps the reason and the kind of RunPod's refusal when it adds the list of endpoints", async () => {
  const facts = { transient: false, isRefusal: true, reason: "workers quota (5)" };
  const refusal = new RunpodError("RunPod refused saveEndpoint: workers quota (5)", facts);
  const client = { listEndpoints: async () => [], getWorkerQuota: async () => undefined };
  const saved = saveWithinQuota(client, undefined, { name: "phi3", workersMax: 9 }, undefined, () =>
    Promise.reject(refusal),
  );
  await expect(saved).rejects.toMatchObject({ ...facts, message: expect.stringContaining("needs 9") });
});

describe("An endpoint beyond the account's worker quota", () => {
  it("is refused by RunPod, and the error lists the endpoints that use the quota", async () => {
    const { runpod, endpoint } = fixture();
    const { second } = await firstOfTwo();
    const message = "Max workers across all endpoints must not exceed your workers quota (5)";
    runpod.failNext("saveEndpoint", { message });
    await expect(createResource(endpoint, second)).rejects.toThrow(
      `RunPod refused saveEndpoint: ${message} ${EXPLANATION}`,
    );
    expect(runpod.snapshot().endpoints).toHaveLength(1);
  });

  it("is rejected before the create call when RunPod returns the quota", async () => {
    const { runpod, endpoint } = fixture();
    const { second } = await firstOfTwo();
    runpod.quota.workers = 5;
    const before = runpod.count("saveEndpoint");
    await expect(createResource(endpoint, second)).rejects.toThrow(EXPLANATION);
    expect(runpod.count("saveEndpoint")).toBe(before);
    runpod.quota.workers = 6;
    await createResource(endpoint, second);
  });

  it("is rejected before the create call when the operator has configured the quota", async () => {
    const { program, config, registered, runpod } = fixture();
    const { first, second } = await firstOfTwo();
    const engine = await startEngine(program.folder, { ...config, runpodWorkerQuota: "5" });
    try {
      const endpoint = engine.resource(registered.endpoint.type);
      const before = runpod.count("saveEndpoint");
      await expect(createResource(endpoint, second)).rejects.toThrow(EXPLANATION);
      expect(runpod.count("saveEndpoint")).toBe(before);
      // An update replaces the endpoint's current workers, so only the new maximum and the workers of other endpoints
      // count.
      await endpoint.update(first.id, first.outs, { ...first.inputs, workersMax: 5 });
    } finally {
      await engine.close();
    }
  });
});
