import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { Settings as RefreshSettings } from "../functions/registryRefresh";
import { isPrivateEcr, parseImageName } from "../runpod/imageName";
import { RegistryAuth } from "../runpod/registryAuth";
import type { Config } from "./config";
import type { WorkerImage } from "./images";
import { Lambda, type Statement } from "./lambda";
import { Schedule } from "./schedule";

const REFRESH_HOURS = 6;

/**
 * What RunPod pulls the workers' images with, as the configuration chooses. For private ECR, whose tokens die after twelve
 * hours, a function gives RunPod a new one every six, under the same id.
 */
export class Registry extends pulumi.ComponentResource {
  /** RunPod's id of the credentials for an image, if it needs any. */
  readonly credentialFor: (image: WorkerImage) => pulumi.Input<string> | undefined;

  constructor(name: string, args: { config: Config; images: WorkerImage[] }, opts?: pulumi.ComponentResourceOptions) {
    super("snack:infra:Registry", name, {}, opts);
    const child = { parent: this };
    const { config, images } = args;
    const { registry } = config;
    const inEcr = images.filter(isInEcr);
    switch (registry.kind) {
      case "ecr": {
        const id = inEcr.length > 0 ? refreshedEcrToken(config, inEcr, child) : undefined;
        this.credentialFor = (image) => (isInEcr(image) ? id : undefined);
        break;
      }
      case "delegation":
        this.credentialFor = (image) => (isInEcr(image) ? registry.ids[image.model] : undefined);
        break;
      case "token": {
        const { host, username, token, generation } = registry;
        const auth = new RegistryAuth(
          name,
          { name: `${credentialName(config)}-${generation}`, username, password: token },
          child,
        );
        this.credentialFor = ({ ready }) => (parseImageName(ready ?? "").host === host ? auth.id : undefined);
        break;
      }
      case "public":
        this.credentialFor = () => undefined;
    }
    this.registerOutputs();
  }
}

/** What the program builds is in private ECR. */
function isInEcr({ ready }: WorkerImage): boolean {
  return ready === undefined || isPrivateEcr(ready);
}

/** RunPod's provider wants a stack's own names to begin so. */
function credentialName({ stack }: Config): string {
  return `${pulumi.getProject()}-${stack}-registry`;
}

function refreshedEcrToken(
  config: Config,
  images: WorkerImage[],
  child: { parent: pulumi.Resource },
): pulumi.Output<string> {
  const { userName, password, expiresAt } = aws.ecr.getAuthorizationTokenOutput({}, child);
  const credential = new RegistryAuth(
    "registry",
    { name: credentialName(config), username: userName, password },
    // ECR gives another one each time; from the first on it is the function's to renew.
    { ...child, ignoreChanges: ["password"] },
  );
  const key = new aws.ssm.Parameter(
    "runpod-api-key",
    { name: `/snack-misaki/${config.stack}/runpod-api-key`, type: "SecureString", value: config.runpodApiKey },
    child,
  );
  const expiry = new aws.ssm.Parameter(
    "registry-token-expiry",
    { name: `/snack-misaki/${config.stack}/registry-token-expiry`, type: "String", value: expiresAt },
    { ...child, ignoreChanges: ["value"] },
  );
  const refresh = new Lambda<RefreshSettings>(
    "registryRefresh",
    {
      bundle: "registryRefresh",
      settings: pulumi.output({
        runpodApiUrl: config.runpodApiUrl,
        runpodKeyParameter: key.name,
        registryAuthId: credential.id,
        expiryParameter: expiry.name,
      }),
      statements: [
        { Action: ["ssm:GetParameters"], Resource: [key.arn] },
        { Action: ["ssm:PutParameter"], Resource: [expiry.arn] },
        ...pulling(images),
      ],
      // The doctor names it to the operator.
      functionName: `snack-misaki-${config.stack}-registryRefresh`,
      timeoutSeconds: 60,
    },
    child,
  );
  new Schedule("registryRefresh", { lambda: refresh, every: `${REFRESH_HOURS} hours` }, child);
  new aws.cloudwatch.MetricAlarm(
    "registryRefresh",
    {
      alarmDescription:
        "RunPod's registry credentials were not renewed: in less than twelve hours no worker can pull an image.",
      namespace: "AWS/Lambda",
      metricName: "Errors",
      dimensions: { FunctionName: refresh.function.name },
      statistic: "Sum",
      period: REFRESH_HOURS * 3_600,
      evaluationPeriods: 1,
      comparisonOperator: "GreaterThanOrEqualToThreshold",
      threshold: 1,
      // No run at all is no better than one that failed.
      treatMissingData: "breaching",
    },
    child,
  );
  return credential.id;
}

/** A token may do what its maker may: to get one, for which AWS knows no resource, and to pull these images. */
function pulling(images: WorkerImage[]): Statement[] {
  return [
    { Action: ["ecr:GetAuthorizationToken"], Resource: ["*"] },
    {
      Action: ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
      Resource: images.map((image) => image.repositoryUrl.apply(repositoryArn)),
    },
  ];
}

/** ARN of the ECR repository of `<account>.dkr.ecr.<region>.amazonaws.com/<name>`, with or without a tag or digest. */
function repositoryArn(url: string): string {
  const [, account, region, china, name] =
    /^(\d{12})\.dkr\.ecr\.([\w-]+)\.amazonaws\.com(\.cn)?\/([^:@]+)/.exec(url) ?? [];
  if (name === undefined) throw new Error(`${url} is not in Amazon ECR`);
  return `arn:aws${china ? "-cn" : ""}:ecr:${region}:${account}:repository/${name}`;
}
