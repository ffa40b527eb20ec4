import * as pulumi from "@pulumi/pulumi";
import type { Settings as RefreshSettings } from "../functions/registryRefresh";
import { stackNames } from "../names";
import { isPrivateEcr, parseImageName } from "../runpod/imageName";
import { RegistryAuth } from "../runpod/registryAuth";
import type { AccountKeys } from "./accountKeys";
import * as aws from "./aws";
import type { Config } from "./config";
import { Lambda, type Statement } from "./lambda";
import { Schedule } from "./schedule";
import { readSecrets, type Secret } from "./secrets";
import type { PulledImage, WorkerImage } from "./workerImage";

/** Hours between two renewals of an ECR token. A token expires after 12 hours. */
const REFRESH_HOURS = 6;

/** Placeholder for the token and its expiry until the refresh function has run. */
const NO_TOKEN = "none";

/** Arguments of `Registry`. */
export interface RegistryArgs {
  config: Pick<Config, "stack" | "registry" | "runpodApi" | "runpodApiUrl">;
  /** Keys for renewing the token at RunPod. */
  keys: AccountKeys;
  /** The images that RunPod pulls. */
  images: WorkerImage[];
}

/** The renewal of an ECR token. */
interface TokenRefresh {
  lambda: Lambda<RefreshSettings>;
  /** Events of the runs that failed in spite of retries. */
  failedRuns: aws.sqs.Queue;
  /** Parameter with the time at which the token expires. */
  tokenExpiry: aws.ssm.Parameter;
}

/** The credentials with which RunPod pulls the images. `registry` of the configuration selects their kind. */
export class Registry extends pulumi.ComponentResource {
  /** RunPod's id of the credentials for an image. Undefined when the image needs no credentials. */
  readonly credentialsFor: (image: PulledImage) => pulumi.Input<string> | undefined;
  /** The renewal of an ECR token. Undefined for other kinds of credentials. */
  readonly refresh: TokenRefresh | undefined;

  constructor(name: string, { config, keys, images }: RegistryArgs, opts?: pulumi.ComponentResourceOptions) {
    super("snack:infra:Registry", name, {}, opts);
    const child = { parent: this };
    const { registry } = config;
    const inEcr = images
      .flatMap(({ candidate, ...image }) => (candidate ? [image, candidate] : [image]))
      .filter(isInEcr);
    switch (registry.kind) {
      case "ecr": {
        const ecr = inEcr.length > 0 ? createEcrCredentials(config, keys.runpod, inEcr, child) : undefined;
        this.refresh = ecr?.refresh;
        this.credentialsFor = (image) => (isInEcr(image) ? ecr?.id : undefined);
        break;
      }
      case "delegation":
        this.credentialsFor = (image) => (isInEcr(image) ? registry.ids[image.model] : undefined);
        break;
      case "token": {
        const { host, username, token, generation } = registry;
        const credentials = new RegistryAuth(
          name,
          { name: `${stackNames(config.stack).registryCredentials}-${generation}`, username, password: token },
          child,
        );
        this.credentialsFor = ({ prebuilt }) =>
          parseImageName(prebuilt ?? "").host === host ? credentials.id : undefined;
        break;
      }
      case "public":
        this.credentialsFor = () => undefined;
    }
    this.registerOutputs({ kind: registry.kind });
  }
}

/** Whether an image is in private ECR. Always true for images that the program builds. */
function isInEcr({ prebuilt }: PulledImage): boolean {
  return prebuilt === undefined || isPrivateEcr(prebuilt);
}

/**
 * Creates credentials, and the function that sets and renews their ECR token without changing the credentials' id.
 *
 * @returns RunPod's id of the credentials, after the first run of the function; and the renewal
 */
function createEcrCredentials(
  config: RegistryArgs["config"],
  runpodKey: Secret,
  images: PulledImage[],
  child: { parent: pulumi.Resource },
): { id: pulumi.Output<string>; refresh: TokenRefresh } {
  const names = stackNames(config.stack);
  const credentials = new RegistryAuth(
    "registry",
    { name: names.registryCredentials, username: "AWS", password: pulumi.secret(NO_TOKEN) },
    // The refresh function sets and renews the token. A token that this program requests would have the deployer's
    // permissions.
    { ...child, ignoreChanges: ["username", "password"] },
  );
  const expiry = new aws.ssm.Parameter(
    "registry-token-expiry",
    { name: names.parameters.registryTokenExpiry, type: "String", value: NO_TOKEN },
    { ...child, ignoreChanges: ["value"] },
  );
  const refresh = createRefresh(config, { credentials, runpodKey, expiry, images }, child);
  // A worker may start before the schedule's first run. Without a token it could not pull its image.
  const first = new aws.lambda.Invocation(
    "registryRefresh",
    { functionName: refresh.lambda.function.name, input: "{}", triggers: { credentials: credentials.id } },
    child,
  );
  return { id: pulumi.all([credentials.id, first.id]).apply(([id]) => id), refresh };
}

interface RefreshArgs {
  credentials: RegistryAuth;
  runpodKey: Secret;
  expiry: aws.ssm.Parameter;
  images: PulledImage[];
}

function createRefresh(
  { stack, runpodApi, runpodApiUrl }: RegistryArgs["config"],
  { credentials, runpodKey, expiry, images }: RefreshArgs,
  child: { parent: pulumi.Resource },
): TokenRefresh {
  const failedRuns = new aws.sqs.Queue(
    "registryRefresh-failed",
    { messageRetentionSeconds: 14 * 24 * 3_600, sqsManagedSseEnabled: true },
    child,
  );
  const lambda = new Lambda<RefreshSettings>(
    "registryRefresh",
    {
      bundle: "registryRefresh",
      settings: pulumi.output({
        runpodApi,
        runpodApiUrl,
        runpodKeyParameter: runpodKey.name,
        registryAuthId: credentials.id,
        expiryParameter: expiry.name,
      }),
      statements: [
        ...readSecrets(runpodKey),
        { Action: ["ssm:PutParameter"], Resource: [expiry.arn] },
        ...pullImages(images),
        { Action: ["sqs:SendMessage"], Resource: [failedRuns.arn] },
      ],
      functionName: stackNames(stack).functions.registryRefresh,
      timeoutSeconds: 90,
    },
    child,
  );
  new Schedule("registryRefresh", { lambda, every: `${REFRESH_HOURS} hours`, failedRuns }, child);
  return { lambda, failedRuns, tokenExpiry: expiry };
}

/**
 * Allows creating an ECR token and pulling these images. A token has the permissions of the role that creates it. IAM
 * cannot restrict `ecr:GetAuthorizationToken` to a resource, so its resource is `*`.
 */
function pullImages(images: PulledImage[]): Statement[] {
  return [
    { Action: ["ecr:GetAuthorizationToken"], Resource: ["*"] },
    {
      Action: ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
      // A model and its candidate have images in the same repository.
      Resource: pulumi
        .all(images.map((image) => image.repositoryUrl.apply(repositoryArn)))
        .apply((arns) => [...new Set(arns)]),
    },
  ];
}

/** ARN of the ECR repository of `<account>.dkr.ecr.<region>.amazonaws.com/<name>`, with or without a tag or digest. */
function repositoryArn(url: string): string {
  const [, account, region, china, name] =
    /^(\d{12})\.dkr\.ecr\.([\w-]+)\.amazonaws\.com(\.cn)?\/([^:@]+)/.exec(url) ?? [];
  if (name === undefined) throw new Error(`${url} is not the URL of a private Amazon ECR repository`);
  return `arn:aws${china ? "-cn" : ""}:ecr:${region}:${account}:repository/${name}`;
}
