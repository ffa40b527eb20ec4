import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { models } from "../../contract/plan";
import { buildArgs, modelFacts } from "../../images/models";

const dockerfile = (model: string) => readFileSync(join(__dirname, "../../images", model, "Dockerfile"), "utf8");

describe("the Dockerfiles", () => {
  it("differ in the model's name alone", () => {
    const [first, ...others] = models.map((model) =>
      dockerfile(model)
        .replace(/^# .*\. The build context/, "# The build context")
        .replaceAll(model, "<model>"),
    );
    for (const other of others) expect(other).toBe(first);
  });

  it.each(models)("of %s is given every argument it declares, and no other", (model) => {
    const declared = [...dockerfile(model).matchAll(/^ARG (\w+)/gm)].map(([, name]) => name);
    expect(["ENGINE_IMAGE", ...Object.keys(buildArgs(model, "v1"))].sort()).toEqual(declared.sort());
  });

  it.each(models)("of %s is made from a pinned version of vLLM's official image", (model) => {
    expect(dockerfile(model)).toMatch(/^ARG ENGINE_IMAGE=docker\.io\/vllm\/vllm-openai:v\d+\.\d+\.\d+$/m);
  });

  it.each(models)("of %s stays offline at run time", (model) => {
    const environment = dockerfile(model).split(/^ENV MODEL=/m)[1];
    for (const setting of ["HF_HUB_OFFLINE=1", "TRANSFORMERS_OFFLINE=1", "VLLM_NO_USAGE_STATS=1"])
      expect(environment).toContain(setting);
  });
});

describe("a model's build arguments", () => {
  it("are its facts, the version and where the weights are", () => {
    expect(buildArgs("mistral", "2026-12-01", "cached")).toEqual({
      WEIGHTS: "cached",
      MODEL_ID: modelFacts.mistral.huggingFaceId,
      MODEL_REVISION: expect.stringMatching(/^[0-9a-f]{40}$/),
      MODEL_VERSION: "2026-12-01",
      CONTEXT_TOKENS: "4096",
      MAX_CONCURRENCY: "32",
      QUANTIZATION: "fp8",
    });
    expect(buildArgs("phi3", "v1")).toMatchObject({ WEIGHTS: "baked", QUANTIZATION: "" });
  });
});
