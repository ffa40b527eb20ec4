import { type Model, models } from "../../../contract/plan";
import type { PlainConfig } from "../../../infra/configSchema";
import { candidateInferenceSettings, inferenceSettings } from "../../../infra/inferenceSettings";

/** The released version of a model, or its candidate. Each has a template and an endpoint. */
export interface Version {
  /** Beginning of the names of its checks: `mistral`, or `mistral candidate`. */
  label: string;
  model: Model;
  /** Configuration key of the version: `mistral`, or `mistral.candidate`. */
  key: string;
  image: Pick<PlainConfig[Model], "imageTag" | "pushedTag" | "imageUri">;
  settings: Pick<ReturnType<typeof inferenceSettings>, "name" | "template"> & {
    endpoint: Record<string, unknown> & { workersMax: number };
  };
}

/** Every version that the configuration has. */
export function versionsOf(config: PlainConfig & { stack: string }): Version[] {
  return models.flatMap((model) => {
    const { candidate, ...image } = config[model];
    const released = { label: model, model, key: model, image, settings: inferenceSettings(model, config) };
    const settings = candidateInferenceSettings(model, config);
    if (!candidate || !settings) return [released];
    return [released, { label: `${model} candidate`, model, key: `${model}.candidate`, image: candidate, settings }];
  });
}
