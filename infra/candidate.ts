import * as pulumi from "@pulumi/pulumi";
import type { Model } from "../contract/plan";
import type { CandidateSource } from "../functions/core/canary/candidate";
import type { CandidateSettings } from "../functions/lib/candidates";
import { stackNames } from "../names";
import { Endpoint } from "../runpod/endpoint";
import * as aws from "./aws";
import type { Config } from "./config";
import type { Inference } from "./inference";
import { inferenceSettings } from "./inferenceSettings";
import type { Statement } from "./lambda";
import type { Registry } from "./registry";
import type { Tickets } from "./tickets";
import type { WorkerImage } from "./workerImage";
import { createWorkerTemplate } from "./workerTemplate";

/** Arguments of `createCandidate`. */
interface CandidateArgs {
  config: Pick<Config, "stack" | "runpodJobApiUrl" | Model>;
  /** Issuer and public keys of the tickets that the workers accept. */
  tickets: Tickets;
  /** Images of the model. */
  image: WorkerImage;
  /** Credentials with which RunPod pulls the image. */
  registry: Registry;
  /** The released model. */
  released: Inference;
}

/**
 * Creates the candidate of a model if the configuration has one: a second template and endpoint, and the parameter that
 * tells the functions which customers it answers. A new share changes only the parameter.
 */
export function createCandidate(model: Model, { config, image, released, ...args }: CandidateArgs): void {
  const { candidate } = config[model];
  if (!candidate || !image.candidate) return;
  const child = { parent: released };
  const names = stackNames(config.stack);
  const name = names.candidateEndpoint(model);
  const settings = inferenceSettings(model, config);
  const template = createWorkerTemplate(
    {
      resourceName: `${model}-candidate`,
      model,
      name,
      settings: settings.template,
      image: image.candidate,
      huggingfaceToken: released.huggingfaceToken,
      ...args,
    },
    child,
  );
  const endpoint = new Endpoint(
    `${model}-candidate`,
    { name, templateId: template.id, ...settings.endpoint, workersMin: 0, workersMax: candidate.workersMax },
    child,
  );
  const url = pulumi.interpolate`${config.runpodJobApiUrl}/${endpoint.id}`;
  const { imageTag, imageUri, share, testers } = candidate;
  const value = url.apply((url) =>
    JSON.stringify({ image: imageTag ?? imageUri ?? "", url, share, testers } satisfies CandidateSource),
  );
  new aws.ssm.Parameter(
    `${model}-candidate`,
    { name: `${names.parameters.candidates}/${model}`, type: "String", value },
    child,
  );
}

/** Settings of the functions that choose between a candidate and the released model. They are the same without one. */
export function candidateSettings(stack: string): CandidateSettings {
  return { candidatesPath: stackNames(stack).parameters.candidates };
}

/** Another parameter of the stack, in the same account and Region as the candidates. */
interface Sibling {
  arn: pulumi.Output<string>;
}

/** Allows reading the candidates, which may not exist yet. */
export function readCandidates(stack: string, sibling: Sibling): Statement {
  return { Action: ["ssm:GetParameters"], Resource: [candidatesArn(stack, sibling)] };
}

/** Allows changing the candidates, which may not exist yet. */
export function writeCandidates(stack: string, sibling: Sibling): Statement {
  return { Action: ["ssm:PutParameter"], Resource: [candidatesArn(stack, sibling)] };
}

function candidatesArn(stack: string, { arn }: Sibling): pulumi.Output<string> {
  const { candidatesPath } = candidateSettings(stack);
  return arn.apply((arn) => arn.replace(/:parameter\/.*/, `:parameter${candidatesPath}/*`));
}
