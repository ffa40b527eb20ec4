import { createHash } from "node:crypto";
import { version as awsVersion } from "@pulumi/aws/package.json";
import {
  ComponentResource,
  type ComponentResourceOptions,
  CustomResource,
  getStack,
  type Inputs,
  type Output,
  output,
  type Unwrap,
} from "@pulumi/pulumi";
import { type LifecycleRule, lifecyclePolicyDocument } from "./lifecycle";

/** aws:ecr/repository:Repository, declared here because an import of @pulumi/aws would double the start time. */
class EcrRepository extends CustomResource {
  declare readonly name: Output<string>;
  declare readonly repositoryUrl: Output<string>;
  constructor(name: string, args: Inputs, parent: ComponentResource) {
    const outputs = { name: undefined, repositoryUrl: undefined, arn: undefined, registryId: undefined };
    super("aws:ecr/repository:Repository", name, { ...outputs, ...args }, { parent, version: awsVersion });
  }
}

/** aws:ecr/lifecyclePolicy:LifecyclePolicy, declared here for the same reason as EcrRepository. */
class EcrLifecyclePolicy extends CustomResource {
  constructor(name: string, args: Inputs, parent: ComponentResource) {
    super("aws:ecr/lifecyclePolicy:LifecyclePolicy", name, args, { parent, version: awsVersion });
  }
}

/** docker-build:index:Image, declared here for the same reason as EcrRepository. */
class BuiltImage extends CustomResource {
  declare readonly digest: Output<string>;
  constructor(name: string, args: Inputs, parent: ComponentResource) {
    super("docker-build:index:Image", name, { digest: undefined, ref: undefined, ...args }, { parent });
  }
}

/** awsx:ecr:Repository: an ECR repository with a lifecycle policy. */
export class Repository extends ComponentResource {
  readonly repository: EcrRepository;
  readonly lifecyclePolicy: EcrLifecyclePolicy | undefined;
  readonly url: Output<string>;

  constructor(name: string, args: Inputs, options: ComponentResourceOptions) {
    super("awsx:ecr:Repository", name, {}, options);
    const { lifecyclePolicy, ...repository } = args;
    const childName = name.toLowerCase();
    this.repository = new EcrRepository(childName, repository, this);
    this.url = this.repository.repositoryUrl;
    this.lifecyclePolicy = lifecyclePolicy?.skip
      ? undefined
      : new EcrLifecyclePolicy(
          childName,
          {
            repository: this.repository.name,
            policy: output(lifecyclePolicy?.rules as LifecycleRule[] | undefined).apply(lifecyclePolicyDocument),
          },
          this,
        );
    this.registerOutputs({ repository: this.repository, lifecyclePolicy: this.lifecyclePolicy, url: this.url });
  }
}

/** Inputs of awsx:ecr:Image that the local cloud reads. */
interface ImageArgs {
  repositoryUrl: string;
  imageName?: string;
  imageTag?: string;
  context?: string;
  dockerfile?: string;
  platform?: string;
  target?: string;
  args?: Record<string, string>;
}

/** awsx:ecr:Image: builds and pushes an image. `imageUri` contains the digest. */
export class Image extends ComponentResource {
  readonly imageUri: Output<string>;

  constructor(name: string, args: Inputs, options: ComponentResourceOptions) {
    super("awsx:ecr:Image", name, {}, options);
    // As in awsx, the name of the child resource is the tag. The tag depends on the inputs, so the child is registered
    // after all inputs are known.
    this.imageUri = output(args as Unwrap<ImageArgs>).apply((known) => this.build(known));
    this.registerOutputs({ imageUri: this.imageUri });
  }

  private build({ repositoryUrl, imageName, imageTag, context = ".", dockerfile, platform, target, args }: ImageArgs) {
    const tag = imageName ?? imageTag ?? uniqueName(context, dockerfile, args);
    const image = new BuiltImage(
      tag,
      {
        tags: [`${repositoryUrl}:${tag}`],
        buildArgs: args,
        context: { location: context },
        dockerfile: { location: dockerfile },
        platforms: platform === undefined ? [] : [platform],
        target,
        push: true,
      },
      this,
    );
    return image.digest.apply((digest) => `${repositoryUrl}@${digest}`);
  }
}

/** Default tag of awsx. It is constant in a stack and does not depend on the files of the context. */
function uniqueName(context: string, dockerfile: string | undefined, args: Record<string, string> = {}): string {
  const parts = [
    context,
    dockerfile === undefined ? "" : `;dockerfile=${dockerfile}`,
    ...Object.entries(args).map(([name, value]) => `;arg[${name}]=${value}`),
    getStack(),
  ];
  return `${createHash("sha1").update(parts.join("")).digest("hex")}-container`;
}
