import { readFileSync } from "node:fs";
import * as z from "zod";
import { byModel, type Model } from "../contract/plan";

/** Facts of one model: the sources of its image and the needs of its workers. */
const ModelFacts = z.strictObject({
  /** Repository at Hugging Face. For a retrained model, its own repository. */
  huggingFaceId: z.string().regex(/^[\w.-]+\/[\w.-]+$/),
  /** Commit of that repository. */
  revision: z.string().regex(/^[0-9a-f]{40}$/),
  /** Longest prompt and reply together, in tokens. The worker trims conversations to it. */
  contextTokens: z.int().positive(),
  /** Without it the engine loads the weights unchanged (bf16). */
  quantization: z.enum(["fp8"]).optional(),
  /** Replies generated at the same time: as many as the GPU's memory holds as key-value cache. */
  maxConcurrency: z.int().positive(),
  /** RunPod's GPU pools, the preferred one first. `-<GPU type>` excludes a type. */
  gpuIds: z.array(z.string()).min(1),
  /** Lowest CUDA version of a host's driver. vLLM's official image is built on CUDA 13.0. */
  minCudaVersion: z.string(),
  /** Container disk in GB: the unpacked image (vLLM ~29 GB plus the weights) and the tenth that RunPod's SDK wants free. */
  containerDiskInGb: z.int().positive(),
  /** Reasons for the values, by key. */
  notes: z.record(z.string(), z.string()).optional(),
});
type ModelFacts = z.infer<typeof ModelFacts>;

/** Facts of every model, each from `images/<model>/model.json`. */
export const modelFacts: Readonly<Record<Model, ModelFacts>> = byModel(readFacts);

/** Source of a worker's weights: its image, or RunPod's model cache (`modelReference`). */
export type Weights = "baked" | "cached";

/** URL by which an endpoint asks RunPod to cache a model's weights: the commit that the worker expects there. */
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

function readFacts(model: Model): ModelFacts {
  const file = `images/${model}/model.json`;
  const { data, error } = ModelFacts.safeParse(JSON.parse(readFileSync(file, "utf8")));
  if (error) throw new Error(`${file} is not valid:\n${z.prettifyError(error)}`);
  return data;
}
