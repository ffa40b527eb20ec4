import { unknownValue as UNKNOWN } from "@pulumi/pulumi/runtime/rpc";
import { describe, expect, it } from "vitest";
import { make, stage } from "./stage";

const on = stage();

describe("a template", () => {
  it("is created for serverless, with the stack's mark and nothing of Pulumi's", async () => {
    const { runpod, template, templateInputs } = on();
    const { id } = await make(template, templateInputs);
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

  it("shows no change after RunPod has reordered its environment and added its own variables", async () => {
    const { template, templateInputs } = on();
    const { id, inputs, outs } = await make(template, templateInputs);
    const read = await template.read(id, outs);
    expect(read.outs).toEqual(outs);
    expect(read.inputs).toEqual(inputs);
    expect(await template.diff(id, read.outs, inputs)).toEqual({ changes: false, replaces: [] });
  });

  it("takes a new image tag in place", async () => {
    const { runpod, template, templateInputs } = on();
    const { id, outs } = await make(template, templateInputs);
    const { inputs } = await template.check({ ...templateInputs, imageName: "registry.example/phi3:2026-12-01" });
    expect(await template.diff(id, outs, inputs)).toEqual({ changes: true, replaces: [] });
    await template.update(id, outs, inputs);
    expect(runpod.templates.size).toBe(1);
    expect(runpod.templates.get(id)).toMatchObject({
      imageName: "registry.example/phi3:2026-12-01",
      name: "snack-phi3",
    });
  });

  it("takes a new name in place, and is deleted by the name it has then", async () => {
    const { runpod, template, templateInputs } = on();
    const { id, outs } = await make(template, templateInputs);
    const { inputs } = await template.check({ ...templateInputs, name: "snack-renamed" });
    expect(await template.diff(id, outs, inputs)).toEqual({ changes: true, replaces: [] });
    await template.update(id, outs, inputs);
    expect(runpod.templates.get(id)?.name).toBe("snack-renamed");
    await template.delete(id, outs);
    expect(runpod.templates.size).toBe(0);
  });

  it("shows a variable that somebody changed or added, and a lost mark, as drift", async () => {
    const { runpod, template, templateInputs } = on();
    const { id, inputs, outs } = await make(template, templateInputs);
    const stored = runpod.templates.get(id);
    if (stored === undefined) throw new Error("not stored");
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

  it("is gone for Pulumi when it is gone from RunPod, and an update then says what to do", async () => {
    const { runpod, template, templateInputs } = on();
    const { id, inputs, outs } = await make(template, templateInputs);
    runpod.templates.clear();
    expect((await template.read(id, outs)).id).toBe("");
    await expect(template.update(id, outs, inputs)).rejects.toThrow(/gone from RunPod.*pulumi refresh/);
    await template.delete(id, outs);
  });
});

describe("a create whose outcome is not known", () => {
  it("adopts what the lost answer told of", async () => {
    const { runpod, template, templateInputs } = on();
    runpod.failNext("saveTemplate", "lost answer");
    const { id } = await make(template, templateInputs);
    expect([...runpod.templates.keys()]).toEqual([id]);
  });

  it.each([
    ["not reached" as const],
    [{ status: 502 }],
    [{ status: 429 }],
    [{ message: "Something went wrong. Please try again later or contact support." }],
  ])("is tried again after %j", async (fault) => {
    const { runpod, template, templateInputs } = on();
    runpod.failNext("saveTemplate", fault);
    await make(template, templateInputs);
    expect(runpod.templates.size).toBe(1);
  });

  it("is given up after four attempts", async () => {
    const { runpod, template, templateInputs } = on();
    for (let n = 0; n < 9; n++) runpod.failNext("saveTemplate", { status: 503 });
    await expect(make(template, templateInputs)).rejects.toThrow(
      "RunPod could not do saveTemplate: HTTP 503 (tried 4 times)",
    );
    expect(runpod.count("saveTemplate")).toBe(4);
  });

  it("is not tried again after a refusal", async () => {
    const { runpod, template, templateInputs } = on();
    runpod.failNext("saveTemplate", { message: "Image not accessible." });
    await expect(make(template, templateInputs)).rejects.toThrow("RunPod refused saveTemplate: Image not accessible.");
    expect(runpod.count("saveTemplate")).toBe(1);
  });

  it("refuses a template of the same name that another stack made", async () => {
    const { runpod, template, templateInputs } = on();
    const { id } = await make(template, { ...templateInputs, owner: "snack-misaki/prod" });
    await expect(make(template, templateInputs)).rejects.toThrow(
      `RunPod already has a template named "snack-phi3" (${id}), made by snack-misaki/prod and not by snack-misaki/dev.`,
    );
    expect(runpod.count("saveTemplate")).toBe(1);
  });
});

describe("deleting a template", () => {
  it("waits while RunPod counts it as in use", async () => {
    const { runpod, template, templateInputs } = on();
    const { id, outs } = await make(template, templateInputs);
    runpod.hold(3);
    await template.delete(id, outs);
    expect(runpod.templates.size).toBe(0);
  });

  it("gives up when the limit is over, with RunPod's reason", async () => {
    const { runpod, template, templateInputs } = on();
    const { id, outs } = await make(template, templateInputs);
    runpod.hold(1_000_000);
    await expect(template.delete(id, outs)).rejects.toThrow("Template is in use.");
    expect(runpod.templates.size).toBe(1);
  });

  it("is done when an answer is lost and the template is gone", async () => {
    const { runpod, template, templateInputs } = on();
    const { id, outs } = await make(template, templateInputs);
    runpod.failNext("deleteTemplate", "lost answer");
    await template.delete(id, outs);
    expect(runpod.templates.size).toBe(0);
  });
});

describe("a template's inputs", () => {
  it("may be unknown during preview, in part or whole", async () => {
    const { template, templateInputs } = on();
    const { id, outs } = await make(template, templateInputs);
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
    [{ env: { "BAD NAME": "x" } }, "env.BAD NAME", "is not the name of a variable: letters, digits and _ only"],
    [{ env: { PORT: 80 } }, "env.PORT", "must be a text"],
    [{ env: { SNACK_MISAKI_STACK: "x" } }, "env", /may not set SNACK_MISAKI_STACK or SNACK_MISAKI_TEMPLATE/],
    [{ env: undefined }, "env", /is required/],
  ])("are refused: %j", async (bad, property, reason) => {
    const { template, templateInputs } = on();
    const { failures } = await template.check(JSON.parse(JSON.stringify({ ...templateInputs, ...bad })));
    expect(failures).toEqual([{ property, reason: expect.stringMatching(reason) }]);
  });

  it.each([
    "phi3:1",
    "localhost:5000/phi3:v1.2_3",
    `ghcr.io/snack/phi3@sha256:${"a".repeat(64)}`,
    "ghcr.io/snack/phi3:latest-2026",
  ])("may name the image %s", async (imageName) => {
    const { template, templateInputs } = on();
    expect((await template.check({ ...templateInputs, imageName })).failures).toEqual([]);
  });
});
