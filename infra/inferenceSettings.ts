import type { Model } from "../contract/plan";
import { modelFacts, modelReference } from "../images/models";
import type { Config } from "./config";

/**
 * What a model's template and endpoint at RunPod are made of, as far as the configuration says it: for the program that
 * makes them, and for the doctor that compares.
 */
export function inferenceSettings(model: Model, config: Pick<Config, "stack" | Model>) {
  const facts = modelFacts[model];
  const { gpuIds, weights, workersMin, workersMax, idleTimeoutSeconds } = config[model];
  return {
    /** Of both. */
    name: `snack-misaki-${config.stack}-${model}`,
    template: { containerDiskInGb: facts.containerDiskInGb },
    endpoint: {
      gpuIds: gpuIds ?? [...facts.gpuIds],
      minCudaVersion: facts.minCudaVersion,
      workersMin,
      workersMax,
      idleTimeoutSeconds,
      scalerType: "QUEUE_DELAY",
      scalerValue: 4,
      executionTimeoutMs: 120_000,
      flashBootType: "FLASHBOOT",
      // RunPod then has the weights on the host before a worker starts there.
      ...(weights === "cached" && { modelReferences: [modelReference(model)] }),
    },
  } as const;
}
