import * as pulumi from "@pulumi/pulumi";
import type { Model } from "../contract/plan";
import { stackNames } from "../names";
import { Endpoint } from "../runpod/endpoint";
import { Secret as RunpodSecret } from "../runpod/secret";
import type { Config } from "./config";
import { inferenceSettings } from "./inferenceSettings";
import type { Registry } from "./registry";
import { createSecret, type Secret } from "./secrets";
import type { Tickets } from "./tickets";
import type { WorkerImage } from "./workerImage";
import { createWorkerTemplate } from "./workerTemplate";

/** Arguments of `Inference`. */
export interface InferenceArgs {
  config: Pick<Config, "stack" | "runpodJobApiUrl" | "browserKeys" | "huggingfaceTokens" | Model>;
  /** Issuer and public keys of the tickets that the workers accept. */
  tickets: Tickets;
  /** Image of the workers. */
  image: WorkerImage;
  /** Credentials with which RunPod pulls the image. */
  registry: Registry;
}

/**
 * RunPod Serverless resources of one model: template, endpoint, the secret with the workers' Hugging Face token, and the
 * secret with the key that browsers use.
 */
export class Inference extends pulumi.ComponentResource {
  /** Base URL of the endpoint's job API. */
  readonly url: pulumi.Output<string>;
  /** RunPod's id of the endpoint. */
  readonly endpointId: pulumi.Output<string>;
  /** RunPod key for browsers, restricted to the endpoint. Undefined until the operator has configured the key. */
  readonly browserKey: Secret | undefined;

  /** RunPod secret with the workers' Hugging Face token. */
  readonly huggingfaceToken: RunpodSecret | undefined;

  constructor(model: Model, args: InferenceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("snack:infra:Inference", model, {}, opts);
    const child = { parent: this };
    const { config } = args;
    const { name, ...settings } = inferenceSettings(model, config);

    const token = config.huggingfaceTokens[model];
    const secretName = stackNames(config.stack).huggingfaceSecret(model);
    this.huggingfaceToken =
      token && new RunpodSecret(`${model}-huggingface-token`, { name: secretName, value: token }, child);
    const template = createWorkerTemplate(
      {
        resourceName: model,
        model,
        name,
        settings: settings.template,
        huggingfaceToken: this.huggingfaceToken,
        ...args,
      },
      child,
    );
    const endpoint = new Endpoint(model, { name, templateId: template.id, ...settings.endpoint }, child);
    this.endpointId = endpoint.id;
    this.url = pulumi.interpolate`${config.runpodJobApiUrl}/${endpoint.id}`;
    const value = config.browserKeys[model];
    const parameter = stackNames(config.stack).parameters.browserKey(model);
    this.browserKey = value && createSecret(`${model}-browser-key`, { name: parameter, value }, child);
    this.registerOutputs({ url: this.url });
  }
}
