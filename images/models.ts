import { readFileSync } from "node:fs";
import * as z from "zod";
import { byModel, type Model } from "../contract/plan";

/**
 * Maximum `contextTokens` of Phi-3.5. Its position embedding (LongRoPE) changes at this length, and the reply to a
 * longer conversation turns into noise (vLLM issue 27414). The worker makes the same check for every model at its
 * start.
 */
const PHI3_CONTEXT_TOKENS = 4_096;

/** Facts of one model: the repository of its weights, and the settings and hardware of its workers. */
export const ModelFacts = z
  .strictObject({
    /** Repository at Hugging Face. A retrained model needs a separate repository. */
    huggingFaceId: z.string().regex(/^[\w.-]+\/[\w.-]+$/),
    /** Commit of the Hugging Face repository. */
    revision: z.string().regex(/^[0-9a-f]{40}$/),
    /**
     * Maximum tokens of prompt and reply together. The worker drops the oldest messages of a conversation above this
     * limit.
     */
    contextTokens: z.int().positive(),
    /** Quantization method of vLLM. Without it, the engine loads the weights unchanged (bf16). */
    quantization: z.enum(["fp8_per_tensor"]).optional(),
    /** Maximum number of replies generated at the same time. Their key-value cache must fit into the GPU's memory. */
    maxConcurrency: z.int().positive(),
    /** Ids of RunPod's GPU pools, the preferred pool first. `-<GPU type>` excludes a type. */
    gpuIds: z.array(z.string()).min(1),
    /** Lowest CUDA version that a host's driver must support. vLLM's official image is built on CUDA 13.0. */
    minCudaVersion: z.string(),
    /**
     * Container disk in GB. It holds the unpacked image (vLLM ~29 GB plus the weights). RunPod's SDK requires a tenth
     * of the disk to be free.
     */
    containerDiskInGb: z.int().positive(),
    /** Reasons for the values of other fields, by field name. */
    notes: z.record(z.string(), z.string()).optional(),
  })
  .refine(
    ({ huggingFaceId, contextTokens }) => !/phi-?3/i.test(huggingFaceId) || contextTokens <= PHI3_CONTEXT_TOKENS,
    { path: ["contextTokens"], message: `Phi-3.5 allows at most ${PHI3_CONTEXT_TOKENS} tokens` },
  );
type ModelFacts = z.infer<typeof ModelFacts>;

/** Facts of each model, read from `images/<model>/model.json`. */
export const modelFacts: Readonly<Record<Model, ModelFacts>> = byModel(readFacts);

/** Source of a worker's weights. `baked`: the image. `cached`: RunPod's model cache (see `modelReference`). */
export type Weights = "baked" | "cached";

/**
 * Returns the URL that makes RunPod cache a model's weights for an endpoint. The URL contains the commit that the
 * worker expects in the cache.
 */
export function modelReference(model: Model): string {
  const { huggingFaceId, revision } = modelFacts[model];
  return `https://huggingface.co/${huggingFaceId}:${revision}`;
}

/**
 * Build arguments of `images/Dockerfile` for a model. `ENGINE_IMAGE` is not included, so the Dockerfile's default
 * applies.
 *
 * @param version version that the workers report as `model.version`
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
