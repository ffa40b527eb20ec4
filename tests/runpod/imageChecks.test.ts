import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { parseImageName } from "../../runpod/imageName";
import { type Engine, startEngine } from "./engine";
import { fakeFixtures } from "./fixture";
import { startImageRegistry } from "./imageRegistry";

describe("parseImageName", () => {
  it.each([
    ["phi3:1", { host: "docker.io", repository: "library/phi3", reference: "1" }],
    ["snack/phi3", { host: "docker.io", repository: "snack/phi3", reference: "latest" }],
    ["ghcr.io/snack/phi3:1.2", { host: "ghcr.io", repository: "snack/phi3", reference: "1.2" }],
    ["localhost:5000/phi3:1", { host: "localhost:5000", repository: "phi3", reference: "1" }],
    [
      `ghcr.io/snack/phi3:1@sha256:${"a".repeat(64)}`,
      { host: "ghcr.io", repository: "snack/phi3", reference: `sha256:${"a".repeat(64)}` },
    ],
  ])("parses %s as Docker does", (name, parts) => {
    expect(parseImageName(name)).toEqual(parts);
  });
});

describe("The check of a template's image", () => {
  const fixture = fakeFixtures.graphql();
  let registry: Awaited<ReturnType<typeof startImageRegistry>>;
  let engine: Engine;
  beforeAll(async () => {
    registry = await startImageRegistry();
    engine = await startEngine(fixture().program.folder, { ...fixture().config, runpodImageLookupMs: "2000" });
  });
  beforeEach(() => registry.setMode("public"));
  afterAll(async () => {
    await engine.close();
    await registry.close();
  });

  /** Returns the failures of the check for a template whose image has the given tag. */
  async function failuresFor(tag: string, changes: object = {}, olds = {}) {
    const template = engine.resource(fixture().registered.template.type);
    const inputs = { ...fixture().templateInputs, imageName: registry.image(tag), ...changes };
    return (await template.check(inputs, olds)).failures.map(({ property, reason }) => `${property}: ${reason}`);
  }

  it.each(["multi", "single"])("accepts an image for linux/amd64: %s", async (tag) => {
    expect(await failuresFor(tag)).toEqual([]);
  });

  it.each(["arm-only", "single-arm"])("rejects an image that RunPod's hosts cannot run: %s", async (tag) => {
    expect(await failuresFor(tag)).toEqual([
      `imageName: ${registry.image(tag)} is built only for linux/arm64: RunPod needs linux/amd64 (docker build --platform linux/amd64)`,
    ]);
  });

  it("rejects a missing image", async () => {
    expect(await failuresFor("missing")).toEqual([
      `imageName: ${registry.image("missing")} is not in its registry: push it first, or correct the tag`,
    ]);
  });

  it("accepts a missing image when the template has credentials, because the image may be private", async () => {
    expect(await failuresFor("missing", { containerRegistryAuthId: "reg1" })).toEqual([]);
  });

  it("rejects a disk smaller than the image, and warns about a slightly larger disk", async () => {
    expect(await failuresFor("large")).toEqual([
      "containerDiskInGb: must be more than the size of the unpacked image, got 30: the compressed image already has 45.0 GB",
    ]);
    expect(await failuresFor("large", { containerDiskInGb: 60 })).toEqual([]);
    await expect
      .poll(() => engine.output())
      .toMatch(/a disk of 60 GB may be too small for .*large \(45.0 GB compressed\)/);
  });

  it("accepts any image when the registry cannot be read", async () => {
    registry.setMode("private");
    expect(await failuresFor("arm-only")).toEqual([]);
    expect(await failuresFor("x", { imageName: "127.0.0.1:9/snack/phi3:1" })).toEqual([]);
  });

  it("does not read the registry again for an unchanged image", async () => {
    const { registered, templateInputs } = fixture();
    const template = engine.resource(registered.template.type);
    const countAtStart = registry.requests.length;
    const { inputs } = await template.check({ ...templateInputs, imageName: registry.image("multi") });
    const countAfterFirst = registry.requests.length;
    expect(countAfterFirst).toBeGreaterThan(countAtStart);
    await template.check(inputs, inputs);
    expect(registry.requests.length).toBe(countAfterFirst);
  });
});
