import type { ModelFacts } from "../modelFacts";

/**
 * Phi-3.5 mini, for the free plan. 7.6 GB of bf16 weights; without grouped-query attention its cache takes 384 KiB a
 * token and is what fills a 24 GB card.
 */
export const phi3: ModelFacts = {
  // 3.5 rather than 3: the same architecture and format, better Japanese, and no 2,047-token attention window.
  huggingFaceId: "microsoft/Phi-3.5-mini-instruct",
  revision: "2fe192450127e6a83f7441aef6e3ca586c338b77",
  contextTokens: 4096,
  maxConcurrency: 16,
  // Without the L4, which costs the same and has a third of the memory bandwidth.
  gpuIds: ["AMPERE_24", "ADA_24", "-NVIDIA L4"],
  minCudaVersion: "13.0",
  containerDiskInGb: 60,
};
