import { describe, expect, it } from "vitest";
import { apis } from "../../runpod/apis";
import { endpoint } from "../../runpod/endpointProvider";
import { template } from "../../runpod/templateProvider";
import { configureProvider, endpointInputs, fault, templateInputs, useAccount } from "./account";
import { API_KEY } from "./localDouble";

const account = useAccount();
const connect = () => apis.auto({ apiKey: API_KEY, url: account.runpod.url });
const endGraphql = (skip = 0) =>
  account.runpod.switches.faults.push(fault("POST /graphql", 410, { times: Number.MAX_SAFE_INTEGER, skip }));

describe("runpodApi: auto", () => {
  it("uses GraphQL while RunPod offers it", async () => {
    expect(await connect().getControlPlane()).toEqual({ api: "graphql", endsAt: undefined });
  });

  it("switches to REST v2 after a 410 Gone, keeps every resource and logs the switch once", async () => {
    configureProvider(account.runpod, "auto");
    const { id: templateId } = await template.create(templateInputs);
    const inputs = endpointInputs(templateId);
    const { id } = await endpoint.create(inputs);
    endGraphql();
    expect((await endpoint.diff(id, inputs, inputs)).changes).toBe(false);
    await template.update(templateId, templateInputs, { ...templateInputs, imageName: "registry.example/phi3:2" });
    expect((await template.read(templateId, templateInputs)).id).toBe(templateId);
    expect((await endpoint.read(id, inputs)).inputs).toEqual(inputs);
    expect(account.runpod.account.endpoints.map((each) => each.id)).toEqual([id]);
    expect(account.lines).toEqual(["RunPod has ended its GraphQL API (410 Gone). The program now uses REST v2."]);
    await endpoint.delete(id);
    await template.delete(templateId);
    expect(account.runpod.account.templates).toEqual([]);
  });

  it("runs a create through REST v2 when GraphQL ends during an update", async () => {
    configureProvider(account.runpod, "auto");
    endGraphql(1);
    const { id } = await template.create(templateInputs);
    expect(account.runpod.account.templates.map((each) => each.id)).toEqual([id]);
  });

  it("logs the date of a Sunset header only once, and uses GraphQL until that date", async () => {
    account.runpod.switches.graphqlSunset = "2999-01-31T00:00:00Z";
    const client = connect();
    await client.listEndpoints();
    await client.listEndpoints();
    expect(account.lines).toEqual(["RunPod ends its GraphQL API on 2999-01-31. The program then switches to REST v2."]);
    expect(await client.getControlPlane()).toMatchObject({ api: "graphql", endsAt: new Date("2999-01-31") });
  });

  it("switches to REST v2 after the date of a Sunset header", async () => {
    account.runpod.switches.graphqlSunset = "2020-01-31T00:00:00Z";
    expect(await connect().getControlPlane()).toMatchObject({ api: "rest" });
  });

  it("keeps the model references of an endpoint that was created through GraphQL", async () => {
    configureProvider(account.runpod, "auto");
    const { id: templateId } = await template.create(templateInputs);
    const modelReferences = ["https://huggingface.co/microsoft/Phi-3.5-mini-instruct:main"];
    const inputs = { ...endpointInputs(templateId), modelReferences };
    const { id } = await endpoint.create(inputs);
    endGraphql();
    expect((await endpoint.check(inputs, inputs)).failures).toEqual([]);
    expect((await endpoint.read(id, inputs)).inputs).toEqual(inputs);
    await endpoint.update(id, inputs, { ...inputs, workersMax: 4 });
    expect(account.runpod.account.endpoint(id)).toMatchObject({ modelReferences, workersMax: 4 });
    const more = { ...inputs, modelReferences: [...modelReferences, "https://huggingface.co/org/other:main"] };
    expect((await endpoint.check(inputs, more)).failures).toMatchObject([{ property: "modelReferences" }]);
  });
});

it("runpodApi graphql fails after the end of GraphQL, and the error names the valid values", async () => {
  endGraphql();
  const client = apis.graphql({ apiKey: API_KEY, url: account.runpod.url });
  await expect(client.listEndpoints()).rejects.toThrow("(410 Gone). Set runpodApi to auto or rest.");
});
