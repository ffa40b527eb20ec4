import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { Model } from "../contract/plan";
import { Endpoint } from "../runpod/endpoint";
import { Template } from "../runpod/template";
import type { Config } from "./config";
import type { WorkerImage } from "./images";
import { inferenceSettings } from "./inferenceSettings";
import type { Registry } from "./registry";
import type { Tickets } from "./tickets";

/** What a model's endpoint is made with. */
interface InferenceArgs {
  config: Config;
  tickets: Tickets;
  image: WorkerImage;
  registry: Registry;
}

/** One model on RunPod Serverless: its template, its endpoint, and the key that browsers call it with. */
export class Inference extends pulumi.ComponentResource {
  readonly endpointId: pulumi.Output<string>;
  /** Base of the endpoint's job API. */
  readonly url: pulumi.Output<string>;
  /** Holds the restricted RunPod key for browsers, where the operator has made one. */
  readonly browserKey: aws.ssm.Parameter | undefined;

  constructor(model: Model, args: InferenceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("snack:infra:Inference", model, {}, opts);
    const child = { parent: this };
    const { config, tickets, image, registry } = args;
    const { name, ...settings } = inferenceSettings(model, config);

    const containerRegistryAuthId = registry.credentialFor(image);
    const template = new Template(
      model,
      {
        name,
        imageName: image.uri,
        ...(containerRegistryAuthId && { containerRegistryAuthId }),
        ...settings.template,
        env: { MODEL: model, TICKET_ISSUER: tickets.issuer, TICKET_JWKS: tickets.jwks },
      },
      child,
    );
    const endpoint = new Endpoint(model, { name, templateId: template.id, ...settings.endpoint }, child);
    this.endpointId = endpoint.id;
    this.url = pulumi.interpolate`${config.runpodJobApiUrl}/${endpoint.id}`;
    const value = config.browserKeys[model];
    this.browserKey =
      value &&
      new aws.ssm.Parameter(
        `${model}-browser-key`,
        { name: `/snack-misaki/${config.stack}/${model}-browser-key`, type: "SecureString", value },
        child,
      );
    this.registerOutputs();
  }
}
