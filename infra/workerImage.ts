import * as ecr from "@pulumi/awsx/ecr";
import * as pulumi from "@pulumi/pulumi";
import type { Model } from "../contract/plan";
import { buildArgs, type Weights } from "../images/models";
import * as aws from "./aws";
import type { Config } from "./config";

/** Arguments of `WorkerImage`. */
export interface WorkerImageArgs {
  config: Pick<Config, Model | "huggingfaceTokens">;
}

/** An image that RunPod pulls. */
export interface PulledImage {
  readonly model: Model;
  /** `imageUri` of the configuration. Undefined for an image in the stack's ECR. */
  readonly prebuilt: string | undefined;
  /** `host/name` of the repository. For a prebuilt image: the whole `imageUri`, with its tag or digest. */
  readonly repositoryUrl: pulumi.Output<string>;
  /** Image that RunPod pulls: `host/name@sha256:…`, or `imageUri` for a prebuilt image. */
  readonly uri: pulumi.Output<string>;
}

/**
 * The image of a model's workers. With `imageTag`, the program builds and pushes the image. With `pushedTag`, it uses an
 * image that it has pushed before. With `imageUri`, it uses an image that a pipeline has pushed.
 */
export class WorkerImage extends pulumi.ComponentResource implements PulledImage {
  readonly prebuilt: string | undefined;
  readonly repositoryUrl: pulumi.Output<string>;
  readonly uri: pulumi.Output<string>;
  /** Image of the model's candidate. */
  readonly candidate: PulledImage | undefined;

  constructor(
    readonly model: Model,
    { config }: WorkerImageArgs,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    // In older stacks the image's parent is the model's Inference component. With the alias, Pulumi keeps the
    // repository and the images of these stacks.
    const aliases = [{ parent: pulumi.createUrn(model, "snack:infra:Inference") }];
    super("snack:infra:WorkerImage", model, {}, pulumi.mergeOptions(opts, { aliases }));
    const { imageUri, imageTag = "", pushedTag, weights, candidate } = config[model];
    this.prebuilt = imageUri;
    if (imageUri === undefined) {
      const { url } = this.createRepository();
      const build = { weights, token: config.huggingfaceTokens[model] };
      this.repositoryUrl = url;
      // The build arguments already describe the candidate's weights, and the released image has others.
      const released = { ...build, name: model, tag: imageTag, isFrozen: candidate !== undefined };
      this.uri = pushedTag ? this.find(url, model, pushedTag) : this.build(url, released);
      this.candidate = candidate && {
        model,
        prebuilt: undefined,
        repositoryUrl: url,
        uri: candidate.pushedTag
          ? this.find(url, `${model}.candidate`, candidate.pushedTag)
          : this.build(url, { ...build, name: `${model}-candidate`, tag: candidate.imageTag ?? "" }),
      };
    } else {
      this.repositoryUrl = pulumi.output(imageUri);
      this.uri = this.repositoryUrl;
      const other = candidate?.imageUri;
      this.candidate = other
        ? { model, prebuilt: other, repositoryUrl: pulumi.output(other), uri: pulumi.output(other) }
        : undefined;
    }
    this.registerOutputs({ uri: this.uri });
  }

  private createRepository(): ecr.Repository {
    return new ecr.Repository(
      this.model,
      {
        forceDelete: true,
        // RunPod's hosts cache images by tag, so a tag must never move.
        imageTagMutability: "IMMUTABLE",
        imageScanningConfiguration: { scanOnPush: true },
        // A tagged image never expires, because workers, a candidate or a rollback may need it. A maximum number of
        // images would delete the running image after enough pushes. Failed pushes leave untagged images behind.
        lifecyclePolicy: { rules: [{ tagStatus: "untagged", maximumAgeLimit: 14 }] },
      },
      { parent: this },
    );
  }

  /** awsx names the build resource by its tag alone. The model's name keeps the builds of two models apart. */
  private tagInEcr(tag: string): string {
    return `${this.model}-${tag}`;
  }

  /** Builds and pushes an image. A promoted candidate keeps its build, because a build is named by its tag. */
  private build(
    repositoryUrl: pulumi.Output<string>,
    { name, tag, weights, token, isFrozen = false }: BuildArgs,
  ): pulumi.Output<string> {
    const { model } = this;
    const image = new ecr.Image(
      name,
      {
        repositoryUrl,
        imageTag: this.tagInEcr(tag),
        context: "./images",
        dockerfile: "./images/Dockerfile",
        platform: "linux/amd64",
        args: buildArgs(model, tag, weights),
      },
      // A new tag creates a new resource. Deleting the old resource would delete its image, which a rollback needs.
      { parent: this, retainOnDelete: true, transforms: [buildSettings(token, isFrozen)] },
    );
    return image.imageUri;
  }

  /**
   * Finds an image that an earlier update has pushed. Its tag never moves, so it is the same image.
   *
   * @param key configuration key of the version: `mistral`, or `mistral.candidate`
   */
  private find(repositoryUrl: pulumi.Output<string>, key: string, tag: string): pulumi.Output<string> {
    const imageTag = this.tagInEcr(tag);
    return repositoryUrl.apply(async (url) => {
      const repositoryName = url.slice(url.indexOf("/") + 1);
      const found = await aws.ecr.getImage({ repositoryName, imageTag }, { parent: this }).catch((cause: Error) => {
        throw new pulumi.RunError(
          `${key}.pushedTag: ECR has no image ${imageTag} in ${repositoryName}. Roll the ` +
            `sources out with a new tag instead: npm run rollout (${cause.message})`,
        );
      });
      return `${url}@${found.imageDigest}`;
    });
  }
}

interface BuildArgs {
  /** Name of the resource in the program. */
  name: string;
  tag: string;
  weights: Weights;
  token: pulumi.Output<string> | undefined;
  /** Whether the image must not be built again while its tag stays the same. */
  isFrozen?: boolean;
}

/**
 * Sets the settings of the build for which awsx has no argument. A preview of a new tag builds no image. The Dockerfile
 * mounts the Hugging Face token while it downloads the weights, so that the token is in no layer of the image.
 */
function buildSettings(token: pulumi.Output<string> | undefined, isFrozen: boolean): pulumi.ResourceTransform {
  return ({ type, props, opts }) => {
    if (type !== "docker-build:index:Image") return undefined;
    return {
      props: { ...props, buildOnPreview: false, ...(token && { secrets: { HF_TOKEN: token } }) },
      // A rotated token does not change the weights. So it must not cause a new build and rollout of the same image.
      opts: {
        ...opts,
        ignoreChanges: [...(opts.ignoreChanges ?? []), "secrets", ...(isFrozen ? ["buildArgs"] : [])],
      },
    };
  };
}
