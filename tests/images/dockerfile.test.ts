import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { models } from "../../contract/plan";
import { buildArgs, ModelFacts, modelFacts } from "../../images/models";

const images = join(__dirname, "../../images");
const dockerfile = readFileSync(join(images, "Dockerfile"), "utf8");
const declaredArguments = [...dockerfile.matchAll(/^ARG (\w+)/gm)].map(([, name]) => name);

describe("images/Dockerfile", () => {
  it("is the only Dockerfile in images/", () => {
    for (const model of models) expect(existsSync(join(images, model, "Dockerfile"))).toBe(false);
  });

  it("contains no model name", () => {
    for (const model of models) expect(dockerfile).not.toContain(model);
  });

  it.each(models)("declares exactly the build arguments of %s", (model) => {
    expect(["ENGINE_IMAGE", ...Object.keys(buildArgs(model, "v1"))].toSorted()).toEqual(declaredArguments.toSorted());
  });

  it("pins a version of vLLM's official image", () => {
    expect(dockerfile).toMatch(/^ARG ENGINE_IMAGE=docker\.io\/vllm\/vllm-openai:v\d+\.\d+\.\d+$/m);
  });

  it("sets Hugging Face and vLLM to offline mode at run time", () => {
    const environment = dockerfile.split(/^ENV MODEL=/m)[1];
    for (const setting of ["HF_HUB_OFFLINE=1", "TRANSFORMERS_OFFLINE=1", "VLLM_NO_USAGE_STATS=1"])
      expect(environment).toContain(setting);
  });
});

describe("model.json", () => {
  it("allows at most 4,096 contextTokens for Phi-3.5", () => {
    expect(ModelFacts.safeParse({ ...modelFacts.phi3, contextTokens: 4_097 }).error?.issues).toMatchObject([
      { path: ["contextTokens"], message: "Phi-3.5 allows at most 4096 tokens" },
    ]);
    expect(ModelFacts.safeParse({ ...modelFacts.mistral, contextTokens: 8_192 }).success).toBe(true);
  });
});

describe("buildArgs", () => {
  it("returns the model's facts, the version and the source of the weights", () => {
    expect(buildArgs("mistral", "2026-12-01", "cached")).toEqual({
      MODEL: "mistral",
      WEIGHTS: "cached",
      MODEL_ID: modelFacts.mistral.huggingFaceId,
      MODEL_REVISION: expect.stringMatching(/^[0-9a-f]{40}$/),
      MODEL_VERSION: "2026-12-01",
      CONTEXT_TOKENS: "4096",
      MAX_CONCURRENCY: "32",
      QUANTIZATION: "fp8_per_tensor",
    });
    expect(buildArgs("phi3", "v1")).toMatchObject({ WEIGHTS: "baked", QUANTIZATION: "" });
  });
});
