import { describe, expect, it } from "vitest";
import type { EnvVar } from "../../local/runpod/account/records";
import { endpoint } from "../../runpod/endpointProvider";
import { registryAuth } from "../../runpod/registryAuthProvider";
import { template } from "../../runpod/templateProvider";
import { configureProvider, endpointInputs, fault, OWNER, templateInputs, useAccount } from "./account";

const account = useAccount();
const auth = { owner: OWNER, name: "snack-misaki-dev-registry", username: "robot", password: "canary" };

async function deployed(api: "graphql" | "rest") {
  configureProvider(account.runpod, api);
  const { id: authId } = await registryAuth.create(auth);
  const { id: templateId } = await template.create(templateInputs);
  const inputs = endpointInputs(templateId);
  const { id } = await endpoint.create(inputs);
  return { id, inputs, templateId, authId };
}

describe.each(["graphql", "rest"] as const)("Through %s", (api) => {
  it("update and destroy succeed despite a variable without a name in somebody else's template", async () => {
    const { id, inputs, templateId } = await deployed(api);
    const [stored] = account.runpod.account.templates;
    if (!stored) throw new Error("The template does not exist.");
    const env = [{ key: null, value: null }] as unknown as EnvVar[];
    account.runpod.account.saveTemplate({ ...stored, id: null, name: "stranger", env });
    await template.update(templateId, templateInputs, { ...templateInputs, imageName: "registry.example/phi3:2" });
    await endpoint.update(id, inputs, { ...inputs, workersMax: 2 });
    await endpoint.delete(id);
    await template.delete(templateId);
    expect(account.runpod.account.templates.map(({ name }) => name)).toEqual(["stranger"]);
  });

  it("`null` in place of a list is an error, not an empty account", async () => {
    const { id, inputs, templateId, authId } = await deployed(api);
    const lists = {
      graphql: { templates: "podTemplates", endpoints: "endpoints", auths: "containerRegistryCreds" },
      rest: { templates: "templates", endpoints: "endpoints", auths: "registries" },
    }[api];
    const unknown = /must be a list: without it, the program does not know which resources exist/;
    const answerWithNull = (nullField: string) => {
      account.runpod.switches.faults = [fault(api === "graphql" ? "myself" : "GET *", { nullField }, { times: 99 })];
    };
    answerWithNull(lists.auths);
    await expect(registryAuth.read(authId, auth)).rejects.toThrow(unknown);
    answerWithNull(lists.endpoints);
    await expect(endpoint.read(id, inputs)).rejects.toThrow(unknown);
    await expect(endpoint.delete(id)).rejects.toThrow(unknown);
    answerWithNull(lists.templates);
    await expect(template.delete(templateId)).rejects.toThrow(unknown);
    await expect(template.create({ ...templateInputs, name: "snack-new" })).rejects.toThrow(unknown);
    expect(account.runpod.account.endpoints.map((each) => each.id)).toEqual([id]);
  });
});
