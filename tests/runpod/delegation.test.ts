import { beforeEach, describe, expect, it } from "vitest";
import { endpoint } from "../../runpod/endpointProvider";
import { template } from "../../runpod/templateProvider";
import { configureProvider, endpointInputs, fault, templateInputs, useAccount } from "./account";

const account = useAccount();
const REASON = "containerRegistryAuthId: registry auth not found";
const saves = {
  graphql: { createTemplate: "saveTemplate", updateTemplate: "saveTemplate" },
  rest: { createTemplate: "POST /v2/templates", updateTemplate: "PATCH /v2/templates/*" },
};
const stored = () => account.runpod.account.templates.map((each) => each.containerRegistryAuthId ?? undefined);

describe.each(["graphql", "rest"] as const)("An ECR delegation whose id RunPod refuses (%s)", (api) => {
  let inputs: typeof templateInputs & { containerRegistryAuthId: string };
  beforeEach(() => {
    configureProvider(account.runpod, api);
    const arn = "arn:aws:ecr:ap-northeast-1:123456789012:repository/snack/phi3";
    inputs = { ...templateInputs, containerRegistryAuthId: account.runpod.account.registries.delegate(arn, null).id };
  });
  const refuse = (on: string, message = REASON, times = 1) =>
    account.runpod.switches.faults.push(fault(on, { message }, { times }));

  it("is omitted from a new template, and the output names the next step", async () => {
    refuse(saves[api].createTemplate);
    await template.create(inputs);
    expect(stored()).toEqual([undefined]);
    expect(account.lines).toEqual([
      expect.stringMatching(
        /registry auth not found The program now leaves the ECR delegation deleg_\w+ out of the template "snack-phi3"\. If workers cannot/,
      ),
    ]);
  });

  it("is omitted from an existing template even if RunPod's error does not name the registry", async () => {
    const { id } = await template.create(templateInputs);
    refuse(saves[api].updateTemplate, "invalid input");
    await template.update(id, templateInputs, { ...inputs, imageName: "registry.example/phi3:2" });
    expect(account.runpod.account.templates).toMatchObject([{ id, imageName: "registry.example/phi3:2" }]);
    expect(stored()).toEqual([undefined]);
  });

  it("appears as drift after a refresh, and the next update sends the id again", async () => {
    refuse(saves[api].createTemplate);
    const { id } = await template.create(inputs);
    const { inputs: seen = {} } = await template.read(id, inputs);
    expect((await template.diff(id, seen, inputs)).changes).toBe(true);
    await template.update(id, seen, inputs);
    expect(stored()).toEqual([inputs.containerRegistryAuthId]);
  });

  it("makes the create fail with RunPod's first error when RunPod also refuses the template without the id", async () => {
    refuse(saves[api].createTemplate, "the image has no tag", 2);
    await expect(template.create(inputs)).rejects.toThrow("the image has no tag");
    expect(account.lines).toEqual([]);
  });

  it("is omitted, but a create with refused registry credentials fails", async () => {
    const { id } = account.runpod.account.registries.create({ name: "ours", username: "robot", password: "canary" });
    refuse(saves[api].createTemplate);
    const create = template.create({ ...templateInputs, containerRegistryAuthId: id });
    await expect(create).rejects.toThrow("registry auth not found");
  });

  it("leaves no duplicate template when the response to the save without the id is lost", async () => {
    refuse(saves[api].createTemplate);
    account.runpod.switches.faults.push(fault(saves[api].createTemplate, "cut", { done: true }));
    const { id } = await template.create(inputs);
    expect(account.runpod.account.templates.map((each) => each.id)).toEqual([id]);
  });
});

describe("An ECR delegation that RunPod refuses for an endpoint (rest)", () => {
  async function deployed() {
    configureProvider(account.runpod, "rest");
    const arn = "arn:aws:ecr:ap-northeast-1:123456789012:repository/snack/phi3";
    const { id: containerRegistryAuthId } = account.runpod.account.registries.delegate(arn, null);
    const inputs = { ...templateInputs, containerRegistryAuthId };
    return { inputs, templateId: (await template.create(inputs)).id };
  }

  it("is omitted from the template and from the new endpoint", async () => {
    const { templateId } = await deployed();
    account.runpod.switches.faults = [fault("POST /v2/serverless", { message: "registry not found" })];
    await endpoint.create(endpointInputs(templateId));
    expect(account.runpod.account.endpoints).toHaveLength(1);
    expect(stored()).toEqual([undefined, undefined]);
  });

  it("is omitted from the template and the endpoint when RunPod refuses the id during a template update", async () => {
    const { inputs, templateId } = await deployed();
    await endpoint.create(endpointInputs(templateId));
    account.runpod.switches.faults = [fault("PATCH /v2/serverless/*", { message: "registry not found" })];
    await template.update(templateId, inputs, { ...inputs, imageName: "registry.example/phi3:2" });
    expect(stored()).toEqual([undefined, undefined]);
    expect(account.runpod.account.templates.map(({ imageName }) => imageName)).toEqual(
      Array(2).fill("registry.example/phi3:2"),
    );
  });

  it("is named in the output when the save without the id changes the template but not the endpoint", async () => {
    const { inputs, templateId } = await deployed();
    await endpoint.create(endpointInputs(templateId));
    account.runpod.switches.faults = [
      fault("PATCH /v2/serverless/*", { message: "registry not found" }),
      fault("PATCH /v2/serverless/*", { message: "no instances available" }),
    ];
    const update = template.update(templateId, inputs, { ...inputs, imageName: "registry.example/phi3:2" });
    await expect(update).rejects.toThrow("no instances available");
    expect(account.runpod.account.template(templateId)?.containerRegistryAuthId).toBeNull();
    expect(account.lines.join()).toContain(`leaves the ECR delegation ${inputs.containerRegistryAuthId} out`);
  });

  it("is kept when RunPod refuses an endpoint for another reason, even if the endpoint's name contains the word registry", async () => {
    const { inputs, templateId } = await deployed();
    await endpoint.create({ ...endpointInputs(templateId), name: "registry-phi3" });
    account.runpod.switches.faults = [fault("PATCH /v2/serverless/*", { message: "no instances available" })];
    const update = template.update(templateId, inputs, { ...inputs, imageName: "registry.example/phi3:2" });
    await expect(update).rejects.toThrow("no instances available");
    expect(account.runpod.account.template(templateId)?.containerRegistryAuthId).toBe(inputs.containerRegistryAuthId);
    expect(account.lines).toEqual([]);
  });

  it("is found even if the first read of the delegations fails", async () => {
    const { templateId } = await deployed();
    account.runpod.switches.faults = [
      fault("POST /v2/serverless", { message: "registry not found" }),
      fault("GET /v2/registries/delegations", 503),
    ];
    await endpoint.create(endpointInputs(templateId));
    expect(stored()).toEqual([undefined, undefined]);
  });

  it("is found on a later page of the list", async () => {
    const arn = "arn:aws:ecr:ap-northeast-1:123456789012:repository/snack/other";
    for (const number of [1, 2]) account.runpod.account.registries.delegate(`${arn}-${number}`, null);
    const { templateId } = await deployed();
    account.runpod.switches.faults = [fault("POST /v2/serverless", { message: "registry not found" })];
    await endpoint.create(endpointInputs(templateId));
    expect(stored()).toEqual([undefined, undefined]);
  });

  it("is kept when RunPod refuses the endpoint for another reason", async () => {
    const { inputs, templateId } = await deployed();
    account.runpod.switches.faults = [fault("POST /v2/serverless", { message: "no instances available" })];
    await expect(endpoint.create(endpointInputs(templateId))).rejects.toThrow("no instances available");
    expect(stored()).toEqual([inputs.containerRegistryAuthId]);
  });
});
