import type { ModelFacts } from "../modelFacts";

/** Mistral 7B, for the paid plan. 14.5 GB of weights, halved by FP8; its cache takes 128 KiB a token. */
export const mistral: ModelFacts = {
  huggingFaceId: "mistralai/Mistral-7B-Instruct-v0.3",
  revision: "c170c708c41dac9275d15a8fff4eca08d52bab71",
  contextTokens: 4096,
  quantization: "fp8",
  maxConcurrency: 32,
  gpuIds: ["ADA_24", "AMPERE_48"],
  minCudaVersion: "13.0",
  containerDiskInGb: 80,
};
