import * as ecr from "@pulumi/awsx/ecr";
import * as pulumi from "@pulumi/pulumi";
import type { Model } from "../contract/plan";
import { buildArgs, type Weights } from "../images/models";
import type { Config } from "./config";

/** Arguments of `WorkerImage`. */
export interface WorkerImageArgs {
  config: Pick<Config, Model | "huggingfaceTokens">;
}

/** An image that RunPod pulls. */
export interface PulledImage {
  readonly model: Model;
  /** `imageUri` of the configuration. Undefined when the program builds the image. */
  readonly prebuilt: string | undefined;
  /** `host/name` of the repository. For a prebuilt image: the whole `imageUri`, with its tag or digest. */
  readonly repositoryUrl: pulumi.Output<string>;
  /** Image that RunPod pulls: `host/name@sha256:…`, or `imageUri` for a prebuilt image. */
  readonly uri: pulumi.Output<string>;
}

/**
 * The image of a model's workers. With `imageTag`, the program builds and pushes the image. With `imageUri`, the
 * program uses an image that a pipeline has pushed.
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
    const { imageUri, imageTag = "", weights, candidate } = config[model];
    this.prebuilt = imageUri;
    if (imageUri === undefined) {
      const repository = this.createRepository();
      const token = config.huggingfaceTokens[model];
      this.repositoryUrl = repository.url;
      // The build arguments already describe the candidate's weights, and the released image has others.
      this.uri = this.build(repository, {
        name: model,
        tag: imageTag,
        weights,
        token,
        isFrozen: candidate !== undefined,
      });
      this.candidate = candidate?.imageTag
        ? {
            model,
            prebuilt: undefined,
            repositoryUrl: repository.url,
            uri: this.build(repository, { name: `${model}-candidate`, tag: candidate.imageTag, weights, token }),
          }
        : undefined;
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
        // A tagged image never expires: workers run it, a candidate is it, or a rollback needs it. A limit of their number
        // would delete the running image after enough pushes. An untagged image is the rest of a failed push.
        lifecyclePolicy: { rules: [{ tagStatus: "untagged", maximumAgeLimit: 14 }] },
      },
      { parent: this },
    );
  }

  /** Builds and pushes an image. A promoted candidate keeps its build, because a build is named by its tag. */
  private build(
    repository: ecr.Repository,
    { name, tag, weights, token, isFrozen = false }: BuildArgs,
  ): pulumi.Output<string> {
    const { model } = this;
    const image = new ecr.Image(
      name,
      {
        repositoryUrl: repository.url,
        // awsx names the build resource by its tag alone. The model's name keeps the builds of two models apart.
        imageTag: `${model}-${tag}`,
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
      // A rotated token does not change the weights, so that it must not build and roll out the same image again.
      opts: {
        ...opts,
        ignoreChanges: [...(opts.ignoreChanges ?? []), "secrets", ...(isFrozen ? ["buildArgs"] : [])],
      },
    };
  };
}
