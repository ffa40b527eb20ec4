import * as pulumi from "@pulumi/pulumi";
import type { Model } from "../contract/plan";
import { audienceOf, Candidate, keepLive } from "../functions/core/canary/candidate";
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
 * Creates the candidate of a model if the configuration has one: a second template and endpoint, and a parameter. The
 * functions read from this parameter which customers the candidate answers. A new share changes only the parameter.
 */
export function createCandidate(model: Model, { config, image, released, ...args }: CandidateArgs): void {
  const { candidate } = config[model];
  const settings = candidateInferenceSettings(model, config);
  if (!candidate || !settings || !image.candidate) return;
  const child = { parent: released };
  const { name } = settings;
  const { imageTag, pushedTag, imageUri, share, testers } = candidate;
  const source = { image: imageTag ?? pushedTag ?? imageUri ?? "", share, testers };
  const path = candidateSettings(config.stack).candidatesPath;
  const parameter = `${path}/${model}`;
  const uri = pulumi.all([image.candidate.uri, liveCandidate(path, parameter, child)]).apply(([uri, live]) => {
    requireNoCustomers(model, source.image, { live, stack: config.stack });
    return uri;
  });
  const template = createWorkerTemplate(
    {
      resourceName: `${model}-candidate`,
      model,
      name,
      settings: settings.template,
      image: { ...image.candidate, uri },
      huggingfaceToken: released.huggingfaceToken,
      ...args,
    },
    child,
  );
  const endpoint = new Endpoint(`${model}-candidate`, { name, templateId: template.id, ...settings.endpoint }, child);
  const url = pulumi.interpolate`${config.runpodJobApiUrl}/${endpoint.id}`;
  // The update of the endpoint may take many minutes. The parameter is read again just before it is written, so that a
  // rollback or an abort during the update is not overwritten.
  const live = liveCandidate(
    endpoint.id.apply(() => path),
    parameter,
    child,
  );
  const value = pulumi.all([url, live]).apply(([url, live]) => {
    const next = keepLive({ ...source, url }, live);
    warnOfOverride(model, next, live);
    return JSON.stringify(next);
  });
  new aws.ssm.Parameter(`${model}-candidate`, { name: parameter, type: "String", value }, child);
}

/**
 * Reads the present value of the candidate's parameter, because the functions also write it. Undefined before the first
 * deployment of the candidate.
 *
 * @param path path of all candidates. The invoke waits for it
 * @param name name of the candidate's parameter
 */
function liveCandidate(
  path: pulumi.Input<string>,
  name: string,
  opts: pulumi.InvokeOptions,
): pulumi.Output<Candidate | undefined> {
  const found = aws.ssm.getParametersByPathOutput({ path, withDecryption: false }, opts);
  return found.apply(({ names, values }) => {
    const value = values[names.indexOf(name)];
    return value === undefined ? undefined : parseCandidate(name, value);
  });
}

/**
 * Refuses another image while the candidate answers customers. The new workers would run at the same endpoint, and
 * would answer these customers although nobody has tested the new image. A new image is allowed while only testers get
 * it.
 */
function requireNoCustomers(
  model: Model,
  image: string,
  { live, stack }: { live: Candidate | undefined; stack: string },
): void {
  if (!live || live.image === image || audienceOf(live).share === 0) return;
  throw new pulumi.RunError(
    `${model}.candidate: its image ${live.image} answers ${audienceOf(live).share}% of the customers, and ${image} would replace ` +
      `it without a test. First run npm run admin -- canary ${model} 0 --stack ${stack}`,
  );
}

/** An invalid parameter may contain a rollback. So only the operator may replace it. */
function parseCandidate(name: string, value: string): Candidate {
  try {
    return Candidate.parse(JSON.parse(value));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const next = `run aws ssm delete-parameter --name ${name}, then pulumi up --refresh`;
    throw new pulumi.RunError(`The parameter ${name} does not contain a candidate: ${next}. Reason: ${reason}`);
  }
}

/** Warns the operator when an override of the configured share is in force, or when this update ends the override. */
function warnOfOverride(model: Model, { share, override }: Candidate, live: Candidate | undefined): void {
  if (override) {
    const inForce = override.isAborted ? "the candidate is aborted" : `${override.share} is in force`;
    pulumi.log.warn(
      `${model}.candidate.share is ${share}, but ${inForce} since ${override.at}: ${override.reason} Another share in the ` +
        "configuration ends this.",
    );
  } else if (live?.override) {
    const { at, reason, by, isAborted } = live.override;
    const change = by === "verdict" ? "rollback" : isAborted ? "abort" : "operator's share";
    pulumi.log.warn(
      `${model}.candidate: the ${change} of ${at} ends, and the share ${share} of the configuration applies. Its reason was: ` +
        reason,
    );
  }
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
