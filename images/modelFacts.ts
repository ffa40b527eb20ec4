/** What an image of one model is built from and what it needs to run. */
export interface ModelFacts {
  /** Repository on Hugging Face; a retrained model's own goes here. */
  huggingFaceId: string;
  /** Commit of that repository. */
  revision: string;
  /** Longest prompt and reply together, in tokens. The worker trims conversations to this. */
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
