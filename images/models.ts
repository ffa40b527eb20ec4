import type { Model } from "../contract/plan";
import { mistral } from "./mistral/model";
import type { ModelFacts } from "./modelFacts";
import { phi3 } from "./phi3/model";

/** Facts of every model, each from its folder. */
export const modelFacts: Record<Model, ModelFacts> = { phi3, mistral };

/** Where an image has its weights from: in itself, or from RunPod's cached-model folder (`modelReference`). */
export type Weights = "baked" | "cached";

/** How an endpoint names the model that RunPod is to have in its cache: the commit that the image expects there. */
export function modelReference(model: Model): string {
  const { huggingFaceId, revision } = modelFacts[model];
  return `https://huggingface.co/${huggingFaceId}:${revision}`;
}

/**
 * Build arguments of `images/Dockerfile` for a model. `ENGINE_IMAGE` keeps the Dockerfile's default.
 *
 * @param version reported by the workers as `model.version`
 */
export function buildArgs(model: Model, version: string, weights: Weights = "baked"): Record<string, string> {
  const facts = modelFacts[model];
  return {
    MODEL: model,
    WEIGHTS: weights,
    MODEL_ID: facts.huggingFaceId,
    MODEL_REVISION: facts.revision,
    MODEL_VERSION: version,
    CONTEXT_TOKENS: String(facts.contextTokens),
    MAX_CONCURRENCY: String(facts.maxConcurrency),
    QUANTIZATION: facts.quantization ?? "",
  };
}
