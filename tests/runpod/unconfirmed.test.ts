import { describe, expect, it } from "vitest";
import { apis } from "../../runpod/apis";
import { endpoint } from "../../runpod/endpointProvider";
import { template } from "../../runpod/templateProvider";
import { workerMonitor } from "../../runpod/workers";
import { configureProvider, endpointInputs, fault, templateInputs, useAccount } from "./account";
import { API_KEY } from "./localDouble";

// Tests the facts of docs/decisions/unconfirmed-runpod.md that no other test of this folder covers.
const account = useAccount();
const options = () => ({ apiKey: API_KEY, url: account.runpod.url });
const always = { times: Number.MAX_SAFE_INTEGER };

it("the quota is unknown when RunPod refuses the field maxServerlessConcurrency", async () => {
  const message = 'Cannot query field "maxServerlessConcurrency" on type "User".';
  account.runpod.switches.faults = [fault("myself", { message })];
  expect(await apis.graphql(options()).getWorkerQuota()).toBeUndefined();
});

it("the version is unknown when RunPod refuses the field Endpoint.version", async () => {
  configureProvider(account.runpod, "graphql");
  const { id: templateId } = await template.create(templateInputs);
  const { id } = await endpoint.create(endpointInputs(templateId));
  const message = 'Cannot query field "version" on type "Endpoint".';
  account.runpod.switches.faults = [fault("GET /v2/serverless/*", 404, always), fault("myself", { message }, always)];
  const monitor = workerMonitor(options(), account.runpod.jobApiUrl, apis.graphql(options()));
  expect(await monitor.getWorkers(id)).toMatchObject({ version: undefined, stale: 0 });
});

describe.each([
  ["graphql", "saveTemplate", "saveEndpoint"],
  ["rest", "POST /v2/templates", "POST /v2/serverless"],
] as const)("An unknown error text for a taken name (%s)", (api, createTemplate, createEndpoint) => {
  it("lets a create adopt the resource if the resource exists", async () => {
    configureProvider(account.runpod, api);
    const message = "this label belongs to another object";
    account.runpod.switches.faults = [fault(createTemplate, { message }, { done: true })];
    const { id } = await template.create(templateInputs);
    expect(account.runpod.account.templates.map((each) => each.id)).toEqual([id]);
    account.runpod.switches.faults = [fault(createEndpoint, { message }, { done: true })];
    const created = await endpoint.create(endpointInputs(id));
    expect(account.runpod.account.endpoints.map((each) => each.id)).toEqual([created.id]);
  });

  it("becomes the error of the create if no resource has the name", async () => {
    configureProvider(account.runpod, api);
    account.runpod.switches.faults = [fault(createTemplate, { message: "unknown reason" })];
    await expect(template.create(templateInputs)).rejects.toThrow("unknown reason");
  });
});
