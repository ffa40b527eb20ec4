import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { Model } from "../contract/plan";
import { modelFacts } from "../images/models";
import { Endpoint } from "../runpod/endpoint";
import { Template } from "../runpod/template";
import type { Config } from "./config";
import { WorkerImage } from "./images";
import type { Tickets } from "./tickets";

/** One model on RunPod Serverless: its image, its template, its endpoint, and the key that browsers call it with. */
export class Inference extends pulumi.ComponentResource {
  readonly image: WorkerImage;
  readonly endpointId: pulumi.Output<string>;
  /** Base of the endpoint's job API. */
  readonly url: pulumi.Output<string>;
  /** Holds the restricted RunPod key for browsers, where the operator has made one. */
  readonly browserKey: aws.ssm.Parameter | undefined;

  constructor(model: Model, args: { config: Config; tickets: Tickets }, opts?: pulumi.ComponentResourceOptions) {
    super("snack:infra:Inference", model, {}, opts);
    const child = { parent: this };
    const { config, tickets } = args;
    const facts = modelFacts[model];
    const settings = config[model];
    const name = `snack-misaki-${config.stack}-${model}`;

    this.image = new WorkerImage(model, { model, ...settings }, child);
    const template = new Template(
      model,
      {
        name,
        imageName: this.image.uri,
        containerDiskInGb: facts.containerDiskInGb,
        env: { MODEL: model, TICKET_ISSUER: tickets.issuer, TICKET_JWKS: tickets.jwks },
      },
      child,
    );
    const endpoint = new Endpoint(
      model,
      {
        name,
        templateId: template.id,
        gpuIds: settings.gpuIds ?? [...facts.gpuIds],
        minCudaVersion: facts.minCudaVersion,
        workersMin: settings.workersMin,
        workersMax: settings.workersMax,
        idleTimeoutSeconds: settings.idleTimeoutSeconds,
        scalerType: "QUEUE_DELAY",
        scalerValue: 4,
        executionTimeoutMs: 120_000,
        flashBootType: "FLASHBOOT",
      },
      child,
    );
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
