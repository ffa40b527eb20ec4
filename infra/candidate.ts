import * as pulumi from "@pulumi/pulumi";
import type { Model } from "../contract/plan";
import { Candidate, keepLive } from "../functions/core/canary/candidate";
import type { CandidateSettings } from "../functions/lib/candidates";
import { stackNames } from "../names";
import { Endpoint } from "../runpod/endpoint";
import * as aws from "./aws";
import type { Config } from "./config";
import type { Inference } from "./inference";
import { candidateInferenceSettings } from "./inferenceSettings";
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
  const settings = candidateInferenceSettings(model, config);
  if (!candidate || !settings || !image.candidate) return;
  const child = { parent: released };
  const { name } = settings;
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
  const endpoint = new Endpoint(`${model}-candidate`, { name, templateId: template.id, ...settings.endpoint }, child);
  const url = pulumi.interpolate`${config.runpodJobApiUrl}/${endpoint.id}`;
  const { imageTag, imageUri, share, testers } = candidate;
  const parameter = `${candidateSettings(config.stack).candidatesPath}/${model}`;
  const value = pulumi.all([url, liveCandidate(config.stack, parameter, child)]).apply(([url, live]) => {
    const next = keepLive({ image: imageTag ?? imageUri ?? "", url, share, testers }, live);
    warnOfOverride(model, next);
    return JSON.stringify(next);
  });
  new aws.ssm.Parameter(`${model}-candidate`, { name: parameter, type: "String", value }, child);
}

/**
 * Reads the candidate that the functions read now, because they also write it. Undefined before its first deployment.
 *
 * @param name name of the candidate's parameter
 */
function liveCandidate(stack: string, name: string, opts: pulumi.InvokeOptions): pulumi.Output<Candidate | undefined> {
  const path = candidateSettings(stack).candidatesPath;
  const found = aws.ssm.getParametersByPathOutput({ path, withDecryption: false }, opts);
  return found.apply(({ names, values }) => {
    const value = values[names.indexOf(name)];
    return value === undefined ? undefined : parseCandidate(name, value);
  });
}

/** An unreadable parameter may contain a rollback, so that its replacement is a decision of the operator. */
function parseCandidate(name: string, value: string): Candidate {
  try {
    return Candidate.parse(JSON.parse(value));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const next = `run aws ssm delete-parameter --name ${name}, then pulumi up --refresh`;
    throw new pulumi.RunError(`The parameter ${name} does not contain a candidate: ${next}. Reason: ${reason}`);
  }
}

/** Tells the operator that another share than that of the configuration is in force. */
function warnOfOverride(model: Model, { share, override }: Candidate): void {
  if (!override) return;
  const inForce = override.isAborted ? "the candidate is aborted" : `${override.share} is in force`;
  pulumi.log.warn(
    `${model}.candidate.share is ${share}, but ${inForce} since ${override.at}: ${override.reason} Another share in the ` +
      "configuration ends this.",
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
