import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { endpoint } from "../../runpod/endpointProvider";
import { registryAuth } from "../../runpod/registryAuthProvider";
import { template } from "../../runpod/templateProvider";
import { configureProvider, endpointInputs, fault, OWNER, templateInputs, useAccount } from "./account";

const account = useAccount();

const creates = { graphql: "saveEndpoint", rest: "POST /v2/serverless" };
const templateCreates = { graphql: "saveTemplate", rest: "POST /v2/templates" };

describe.each(["graphql", "rest"] as const)("Late calls, lost responses and stale lists (%s)", (api) => {
  async function templateId(): Promise<string> {
    configureProvider(account.runpod, api);
    return (await template.create(templateInputs)).id;
  }
  const endpointIds = () => account.runpod.account.endpoints.map(({ id }) => id);

  it("leave one endpoint when a create takes effect after its connection broke", async () => {
    const inputs = endpointInputs(await templateId());
    account.runpod.switches.faults = [fault(creates[api], "cut", { done: true, landsAfterMs: 100 })];
    const { id } = await endpoint.create(inputs);
    await sleep(150);
    expect(endpointIds()).toEqual([id]);
  });

  it("leave one endpoint when the response to a create is lost and the lists are stale", async () => {
    const inputs = endpointInputs(await templateId());
    Object.assign(account.runpod.switches, { listLagMs: 150, faults: [fault(creates[api], "cut", { done: true })] });
    const { id } = await endpoint.create(inputs);
    expect(endpointIds()).toEqual([id]);
  });

  it("leave one endpoint when two concurrent updates create the same endpoint", async () => {
    const inputs = endpointInputs(await templateId());
    account.runpod.switches.listLagMs = 200;
    const both = await Promise.all([endpoint.create(inputs), endpoint.create(inputs)]);
    await sleep(250);
    const [kept = ""] = endpointIds();
    expect(endpointIds()).toEqual([kept]);
    expect(account.lines.join()).toContain(`endpoints named "snack-phi3" of ${OWNER}: ${kept} and `);
    // The update that finished first perhaps did not see the other endpoint. Therefore its state can contain the id of
    // a deleted endpoint.
    for (const { id } of both.filter((each) => each.id !== kept)) {
      expect(await endpoint.diff(id, inputs, inputs)).toMatchObject({ changes: true, replaces: ["name"] });
      expect((await endpoint.create(inputs)).id).toBe(kept);
    }
  });

  it("leave one endpoint after the next update when a create takes effect too late for the first update", async () => {
    const inputs = endpointInputs(await templateId());
    account.runpod.switches.faults = [fault(creates[api], "cut", { done: true, landsAfterMs: 1_500 })];
    const { id } = await endpoint.create(inputs);
    await sleep(1_500);
    expect(endpointIds()).toHaveLength(2);
    expect((await endpoint.diff(id, inputs, inputs)).changes).toBe(true);
    await endpoint.update(id, inputs, inputs);
    expect(endpointIds()).toEqual([id]);
  });

  it("leave no endpoint after a destroy, even when a create takes effect during the destroy", async () => {
    const inputs = endpointInputs(await templateId());
    account.runpod.switches.faults = [fault(creates[api], "cut", { done: true, landsAfterMs: 500 })];
    const { id } = await endpoint.create(inputs);
    await endpoint.delete(id);
    await template.delete(inputs.templateId);
    await sleep(300);
    expect(account.runpod.account.endpoints).toEqual([]);
    expect(account.runpod.account.templates).toEqual([]);
  });

  it("do not repeat a create forever when its registry credentials do not exist", async () => {
    configureProvider(account.runpod, api);
    await template.create(templateInputs);
    const changed = { ...templateInputs, containerRegistryAuthId: "gone" };
    await expect(template.create(changed)).rejects.toThrow(/not found/i);
  });

  it("let a create adopt its template when the name is taken but the lists lack the template", async () => {
    configureProvider(account.runpod, api);
    account.runpod.switches.listLagMs = 150;
    const first = await template.create(templateInputs);
    expect((await template.create(templateInputs)).id).toBe(first.id);
    account.runpod.switches.faults = [fault(templateCreates[api], "cut", { done: true, landsAfterMs: 50 })];
    const late = await template.create({ ...templateInputs, name: "snack-late" });
    expect(account.runpod.account.templates.map(({ id }) => id)).toEqual([first.id, late.id]);
  });

  it("do not remove resources from the state during a refresh", async () => {
    account.runpod.switches.listLagMs = 100;
    const inputs = endpointInputs(await templateId());
    const { id } = await endpoint.create(inputs);
    const auth = { owner: OWNER, name: "snack-misaki-dev-registry", username: "robot", password: "canary" };
    const credentials = await registryAuth.create(auth);
    expect((await template.read(inputs.templateId, templateInputs)).id).toBe(inputs.templateId);
    expect((await endpoint.read(id, inputs)).id).toBe(id);
    expect((await registryAuth.read(credentials.id, auth)).id).toBe(credentials.id);
  });
});

it("the next `pulumi up` updates an endpoint that the list did not show during a template update", async () => {
  configureProvider(account.runpod, "rest");
  const { id: templateId } = await template.create(templateInputs);
  account.runpod.switches.listLagMs = 1_000_000;
  const inputs = endpointInputs(templateId);
  const { id } = await endpoint.create(inputs);
  await template.update(templateId, templateInputs, { ...templateInputs, imageName: "registry.example/phi3:2" });
  account.runpod.switches.listLagMs = 0;
  expect((await endpoint.diff(id, inputs, inputs)).changes).toBe(true);
  expect(account.lines.join()).toContain(`Endpoint "snack-phi3" (${id}) does not run its template's container.`);
  await endpoint.update(id, inputs, inputs);
  const images = account.runpod.account.templates.map(({ imageName }) => imageName);
  expect(images).toEqual(Array(2).fill("registry.example/phi3:2"));
  expect((await endpoint.diff(id, inputs, inputs)).changes).toBe(false);
});

it("the error of a refused template delete names the endpoints that use the template", async () => {
  configureProvider(account.runpod, "graphql");
  const { id } = await template.create(templateInputs);
  const made = await endpoint.create(endpointInputs(id));
  // Without the owner tag, the endpoint no longer belongs to the stack.
  const stored = account.runpod.account.template(id);
  if (stored) stored.env = [];
  await expect(template.delete(id)).rejects.toThrow(
    `Endpoints that use the template: "snack-phi3" (${made.id}) of an unknown owner.`,
  );
});
