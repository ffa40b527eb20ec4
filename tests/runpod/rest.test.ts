import { describe, expect, it } from "vitest";
import { apis } from "../../runpod/apis";
import { endpointInputs, fault, templateInputs, useAccount } from "./account";
import { API_KEY } from "./localDouble";

const account = useAccount();
const connect = () => apis.rest({ apiKey: API_KEY, url: account.runpod.url });
const { owner: _, ...settings } = templateInputs;

describe("The REST client", () => {
  it("reads every page of a list", async () => {
    const client = connect();
    const names = ["snack-a", "snack-b", "snack-c", "snack-d", "snack-e"];
    for (const name of names) await client.saveTemplate({ ...settings, name });
    const found = await Promise.all(names.map((name) => client.findTemplateByName(name)));
    expect(found.map((each) => each?.name)).toEqual(names);
  });

  it("turns off SSH and Jupyter, which RunPod starts by default", async () => {
    const { id } = await connect().saveTemplate(settings);
    expect(account.runpod.account.template(id)).toMatchObject({ startSsh: false, startJupyter: false });
  });

  it("keeps the excluded GPU types when an update changes the pools", async () => {
    const client = connect();
    const { owner: _owner, ...endpoint } = endpointInputs((await client.saveTemplate(settings)).id);
    const { id } = await client.saveEndpoint(endpoint);
    await client.saveEndpoint({ ...endpoint, gpuIds: ["AMPERE_24", "-NVIDIA L4"] }, id);
    expect(account.runpod.account.endpoint(id)?.gpuIds).toBe("AMPERE_24,-NVIDIA L4");
  });

  it("changes registry credentials in place", async () => {
    const client = connect();
    const { id } = await client.createRegistryAuth({ name: "snack", username: "AWS", password: "canary-1" });
    const before = account.runpod.account.registryAuths[0]?.passwordHash;
    await client.updateRegistryAuth(id, { username: "AWS", password: "canary-2" });
    expect(account.runpod.account.registryAuths).toMatchObject([{ id, name: "snack" }]);
    expect(account.runpod.account.registryAuths[0]?.passwordHash).not.toBe(before);
  });

  it("names the next step when RunPod cannot change registry credentials", async () => {
    account.runpod.switches.faults = [fault("PATCH /v2/registries/*", 405)];
    const change = connect().updateRegistryAuth("reg1", { username: "AWS", password: "canary" });
    await expect(change).rejects.toThrow("does not offer this call. Give the credentials another name");
  });

  it("reads the account's worker quota, the balance and the version of an endpoint", async () => {
    const client = connect();
    expect(await client.getWorkerQuota()).toBe(20);
    expect(await client.getAccount()).toMatchObject({ balanceDollars: 100, isPostpaid: false });
    const { owner: _owner, ...endpoint } = endpointInputs((await client.saveTemplate(settings)).id);
    const { id } = await client.saveEndpoint(endpoint);
    expect(await client.getEndpointVersion(id)).toBe(1);
  });

  it.each(["GET /v2/account/limits", "GET /v2/billing/balance"])(
    "returns undefined when RunPod refuses %s",
    async (on) => {
      account.runpod.switches.faults = [fault(on, 404)];
      const client = connect();
      expect([await client.getWorkerQuota(), await client.getAccount()]).toContain(undefined);
    },
  );

  it("names the size limit when a request is too large, even if the key is invalid", async () => {
    const client = apis.rest({ apiKey: "rpa_unknown_key", url: account.runpod.url });
    const huge = { ...settings, env: { PERSONA: "x".repeat(110_000) } };
    await expect(client.saveTemplate(huge)).rejects.toThrow(
      "RunPod accepts at most 102,400 bytes: make the template's",
    );
  });

  it.each([
    [402, "The account has no credit: add some in RunPod's console, under Billing."],
    [403, "Either the API key (runpodApiKey) lacks the permission, or the account may not use one of the GPU pools."],
  ] as const)("explains the HTTP status %i", async (status, reason) => {
    account.runpod.switches.faults = [fault("POST /v2/templates", status)];
    await expect(connect().saveTemplate(settings)).rejects.toThrow(reason);
  });
});
