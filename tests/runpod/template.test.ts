import { unknownValue as UNKNOWN } from "@pulumi/pulumi/runtime/rpc";
import { describe, expect, it } from "vitest";
import { createResource, graphqlFixture } from "./fixture";

const fixture = graphqlFixture();

describe("A template", () => {
  it("is created for serverless with the owner tag, without Pulumi's internal properties", async () => {
    const { runpod, template, templateInputs } = fixture();
    const { id } = await createResource(template, templateInputs);
    expect([...runpod.templates.keys()]).toEqual([id]);
    const { input, userAgent } = runpod.calls.at(-1) ?? {};
    expect(input).toEqual({
      name: "snack-phi3",
      imageName: "registry.example/phi3:2026-11-01",
      containerDiskInGb: 30,
      dockerArgs: "",
      containerRegistryAuthId: null,
      isServerless: true,
      isPublic: false,
      volumeInGb: 0,
      env: [
        { key: "MODEL", value: "phi3" },
        { key: "TICKET_ISSUER", value: "snack-misaki/dev" },
        { key: "SNACK_MISAKI_STACK", value: "snack-misaki/dev" },
      ],
    });
    expect(userAgent).toMatch(/^Mozilla/);
  });

  it("shows no diff when RunPod has reordered and added environment variables", async () => {
    const { template, templateInputs } = fixture();
    const { id, inputs, outs } = await createResource(template, templateInputs);
    const read = await template.read(id, outs);
    expect(read.outs).toEqual(outs);
    expect(read.inputs).toEqual(inputs);
    expect(await template.diff(id, read.outs, inputs)).toEqual({ changes: false, replaces: [] });
  });

  it("is updated in place when its image tag changes", async () => {
    const { runpod, template, templateInputs } = fixture();
    const { id, outs } = await createResource(template, templateInputs);
    const { inputs } = await template.check({ ...templateInputs, imageName: "registry.example/phi3:2026-12-01" });
    expect(await template.diff(id, outs, inputs)).toEqual({ changes: true, replaces: [] });
    await template.update(id, outs, inputs);
    expect(runpod.templates.size).toBe(1);
    expect(runpod.templates.get(id)).toMatchObject({
      imageName: "registry.example/phi3:2026-12-01",
      name: "snack-phi3",
    });
  });

  it("is updated in place when its name changes, and a later delete uses the new name", async () => {
    const { runpod, template, templateInputs } = fixture();
    const { id, outs } = await createResource(template, templateInputs);
    const { inputs } = await template.check({ ...templateInputs, name: "snack-renamed" });
    expect(await template.diff(id, outs, inputs)).toEqual({ changes: true, replaces: [] });
    await template.update(id, outs, inputs);
    expect(runpod.templates.get(id)?.name).toBe("snack-renamed");
    await template.delete(id, outs);
    expect(runpod.templates.size).toBe(0);
  });

  it("shows drift when somebody has changed variables and removed the owner tag", async () => {
    const { runpod, template, templateInputs } = fixture();
    const { id, inputs, outs } = await createResource(template, templateInputs);
    const stored = runpod.templates.get(id);
    if (stored === undefined) throw new Error("The template does not exist.");
    stored.env = [
      { key: "MODEL", value: "mistral" },
      { key: "DEBUG", value: "1" },
    ];
    const read = await template.read(id, outs);
    expect(read.inputs).toMatchObject({ env: { MODEL: "mistral", DEBUG: "1" }, owner: "" });
    expect((await template.diff(id, read.outs, inputs)).changes).toBe(true);
    await template.update(id, read.outs, inputs);
    expect((await template.read(id, outs)).outs).toEqual(outs);
  });

  it("is removed from the state by a refresh after somebody has deleted the template at RunPod", async () => {
    const { runpod, template, templateInputs } = fixture();
    const { id, inputs, outs } = await createResource(template, templateInputs);
    runpod.templates.clear();
    expect((await template.read(id, outs)).id).toBe("");
    await expect(template.update(id, outs, inputs)).rejects.toThrow(/no longer exists.*pulumi refresh/);
    await template.delete(id, outs);
  });
});

describe("A create of a template", () => {
  it("creates no duplicate when the response to the first attempt was lost", async () => {
    const { runpod, template, templateInputs } = fixture();
    runpod.failNext("saveTemplate", "lost answer");
    const { id } = await createResource(template, templateInputs);
    expect([...runpod.templates.keys()]).toEqual([id]);
  });

  it.each([
    ["lost request" as const],
    [{ status: 502 }],
    [{ status: 429 }],
    [{ message: "Something went wrong. Please try again later or contact support." }],
  ])("is retried after the fault %j", async (fault) => {
    const { runpod, template, templateInputs } = fixture();
    runpod.failNext("saveTemplate", fault);
    await createResource(template, templateInputs);
    expect(runpod.templates.size).toBe(1);
  });

  it("fails at the retry limit when each attempt gets a server error", async () => {
    const { runpod, template, templateInputs } = fixture();
    for (let n = 0; n < 99; n++) runpod.failNext("saveTemplate", { status: 503 });
    await expect(createResource(template, templateInputs)).rejects.toThrow(
      /RunPod could not do saveTemplate: HTTP 503 \(tried \d+ times\)/,
    );
    expect(runpod.count("saveTemplate")).toBeLessThan(20);
  });

  it("is not retried after a refusal", async () => {
    const { runpod, template, templateInputs } = fixture();
    runpod.failNext("saveTemplate", { message: "Image not accessible." });
    await expect(createResource(template, templateInputs)).rejects.toThrow(
      "RunPod refused saveTemplate: Image not accessible.",
    );
    expect(runpod.count("saveTemplate")).toBe(1);
  });

  it("fails when a template of another stack has the same name", async () => {
    const { runpod, template, templateInputs } = fixture();
    const { id } = await createResource(template, { ...templateInputs, owner: "snack-misaki/prod" });
    await expect(createResource(template, templateInputs)).rejects.toThrow(
      `RunPod already has a template named "snack-phi3" (${id}). It belongs to snack-misaki/prod, not to snack-misaki/dev.`,
    );
    expect(runpod.count("saveTemplate")).toBe(1);
  });
});

describe("A delete of a template", () => {
  it("is retried while RunPod counts the template as in use", async () => {
    const { runpod, template, templateInputs } = fixture();
    const { id, outs } = await createResource(template, templateInputs);
    runpod.keepInUse(3);
    await template.delete(id, outs);
    expect(runpod.templates.size).toBe(0);
  });

  it("fails with RunPod's reason when the template is still in use at the time limit", async () => {
    const { runpod, template, templateInputs } = fixture();
    const { id, outs } = await createResource(template, templateInputs);
    runpod.keepInUse(1_000_000);
    await expect(template.delete(id, outs)).rejects.toThrow("Template is in use.");
    expect(runpod.templates.size).toBe(1);
  });

  it("succeeds even if the response to the first attempt was lost", async () => {
    const { runpod, template, templateInputs } = fixture();
    const { id, outs } = await createResource(template, templateInputs);
    runpod.failNext("deleteTemplate", "lost answer");
    await template.delete(id, outs);
    expect(runpod.templates.size).toBe(0);
  });
});

describe("The inputs of a template", () => {
  it("may be completely or partly unknown during preview", async () => {
    const { template, templateInputs } = fixture();
    const { id, outs } = await createResource(template, templateInputs);
    for (const unknown of [
      { imageName: UNKNOWN },
      { env: UNKNOWN },
      { env: { MODEL: UNKNOWN } },
      { containerDiskInGb: UNKNOWN },
    ]) {
      const checked = await template.check({ ...templateInputs, ...unknown });
      expect(checked.failures).toEqual([]);
      expect(checked.inputs).toMatchObject(unknown);
      expect((await template.diff(id, outs, checked.inputs)).changes).toBe(true);
    }
  });

  it.each([
    [{ name: "ab" }, "name", 'must be a name of 3 to 191 characters, got "ab"'],
    [{ name: undefined }, "name", "is required: a name of 3 to 191 characters"],
    [{ imageName: "registry.example/phi3" }, "imageName", /a tag other than latest, or a digest/],
    [{ imageName: "registry.example:5000/phi3:latest" }, "imageName", /got "registry.example:5000\/phi3:latest"/],
    [{ imageName: "registry.example:5000/phi3" }, "imageName", /a tag other than latest/],
    [{ containerDiskInGb: 0 }, "containerDiskInGb", /at least 1.*got 0/],
    [{ env: { "BAD NAME": "x" } }, "env.BAD NAME", "is not a variable name: only letters, digits and _ are allowed"],
    [{ env: { PORT: 80 } }, "env.PORT", "must be a text"],
    [{ env: { SNACK_MISAKI_STACK: "x" } }, "env", /must not set SNACK_MISAKI_STACK or SNACK_MISAKI_TEMPLATE/],
    [{ env: undefined }, "env", /is required/],
  ])("are rejected when they contain %j", async (bad, property, reason) => {
    const { template, templateInputs } = fixture();
    const { failures } = await template.check(JSON.parse(JSON.stringify({ ...templateInputs, ...bad })));
    expect(failures).toEqual([{ property, reason: expect.stringMatching(reason) }]);
  });

  it.each([
    "phi3:1",
    "localhost:5000/phi3:v1.2_3",
    `ghcr.io/snack/phi3@sha256:${"a".repeat(64)}`,
    "ghcr.io/snack/phi3:latest-2026",
  ])("may contain the image %s", async (imageName) => {
    const { template, templateInputs } = fixture();
    expect((await template.check({ ...templateInputs, imageName })).failures).toEqual([]);
  });
});
