import type { Model } from "../contract/plan";

/** What an image of one model is built from and what it needs to run. */
export interface ModelFacts {
  /** Repository on Hugging Face; a retrained model's own goes here. */
  huggingFaceId: string;
  /** Commit of that repository. */
  revision: string;
  /** Longest prompt and reply together, in tokens. The worker trims conversations to this (`persona.py`). */
  contextTokens: number;
  /** Weights are loaded as they are (bf16) without it. */
  quantization?: "fp8";
  /** Replies generated at once; what the pool's memory holds as key-value cache. */
  maxConcurrency: number;
  /** RunPod GPU pools, the wanted one first. */
  gpuIds: readonly string[];
  /** Lowest CUDA version of a host's driver. vLLM's official image is built on CUDA 13.0. */
  minCudaVersion: string;
  /** Container disk in GB: the unpacked image (vLLM ~29 GB, plus the weights) and the tenth the SDK wants free. */
  containerDiskInGb: number;
}

/**
 * Facts per model. Sizes and speeds behind the choices: Phi-3.5 mini has 7.6 GB of bf16 weights but no grouped-query
 * attention, so its cache takes 384 KiB a token and is what fills a 24 GB card; Mistral 7B has 14.5 GB of weights,
 * halved by FP8, and 128 KiB a token.
 */
export const modelFacts: Record<Model, ModelFacts> = {
  phi3: {
    // 3.5 rather than 3: the same architecture and format, better Japanese, and no 2,047-token attention window.
    huggingFaceId: "microsoft/Phi-3.5-mini-instruct",
    revision: "2fe192450127e6a83f7441aef6e3ca586c338b77",
    contextTokens: 4096,
    maxConcurrency: 16,
    // Without the L4, which costs the same and has a third of the memory bandwidth.
    gpuIds: ["AMPERE_24", "ADA_24", "-NVIDIA L4"],
    minCudaVersion: "13.0",
    containerDiskInGb: 60,
  },
  mistral: {
    huggingFaceId: "mistralai/Mistral-7B-Instruct-v0.3",
    revision: "c170c708c41dac9275d15a8fff4eca08d52bab71",
    contextTokens: 4096,
    quantization: "fp8",
    maxConcurrency: 32,
    gpuIds: ["ADA_24", "AMPERE_48"],
    minCudaVersion: "13.0",
    containerDiskInGb: 80,
  },
};

/** Build arguments of a model's Dockerfile. `version` is what its workers report as `model.version`. */
export function buildArgs(model: Model, version: string): Record<string, string> {
  const facts = modelFacts[model];
  return {
    MODEL_ID: facts.huggingFaceId,
    MODEL_REVISION: facts.revision,
    MODEL_VERSION: version,
    CONTEXT_TOKENS: String(facts.contextTokens),
    MAX_CONCURRENCY: String(facts.maxConcurrency),
    QUANTIZATION: facts.quantization ?? "",
  };
}
