import type { Model } from "../contract/plan";
import { modelFacts, modelReference } from "../images/models";
import { stackNames } from "../names";
import type { Config } from "./config";

/**
 * Settings of a model's template and endpoint at RunPod. The program creates the template and the endpoint with these
 * settings. The doctor command compares them with the actual settings at RunPod.
 */
export function inferenceSettings(model: Model, config: Pick<Config, "stack" | Model>) {
  const facts = modelFacts[model];
  const { gpuIds, weights, workersMin, workersMax, idleTimeoutSeconds } = config[model];
  return {
    /** Name of the template and of the endpoint. */
    name: stackNames(config.stack).endpoint(model),
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
      // RunPod downloads the weights to a host before it starts a worker on that host.
      ...(weights === "cached" && { modelReferences: [modelReference(model)] }),
    },
  } as const;
}

/**
 * Settings of the template and endpoint of a model's candidate: those of the model, with other numbers of workers.
 *
 * @returns undefined when the configuration has no candidate
 */
export function candidateInferenceSettings(model: Model, config: Pick<Config, "stack" | Model>) {
  const { candidate } = config[model];
  if (!candidate) return undefined;
  const { template, endpoint } = inferenceSettings(model, config);
  return {
    name: stackNames(config.stack).candidateEndpoint(model),
    template,
    endpoint: { ...endpoint, workersMin: 0, workersMax: candidate.workersMax },
  };
}
