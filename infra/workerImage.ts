import * as ecr from "@pulumi/awsx/ecr";
import * as pulumi from "@pulumi/pulumi";
import type { Model } from "../contract/plan";
import { buildArgs, type Weights } from "../images/models";
import type { Config } from "./config";

/** Arguments of `WorkerImage`. */
export interface WorkerImageArgs {
  config: Pick<Config, Model | "huggingfaceTokens">;
}

/**
 * The image of a model's workers. With `imageTag`, the program builds and pushes the image. With `imageUri`, the
 * program uses an image that a pipeline has pushed.
 */
export class WorkerImage extends pulumi.ComponentResource {
  /** `imageUri` of the configuration. Undefined when the program builds the image. */
  readonly prebuilt: string | undefined;
  /** `host/name` of the repository. For a prebuilt image: the whole `imageUri`, with its tag or digest. */
  readonly repositoryUrl: pulumi.Output<string>;
  /** Image that RunPod pulls: `host/name@sha256:…`, or `imageUri` for a prebuilt image. */
  readonly uri: pulumi.Output<string>;

  constructor(
    readonly model: Model,
    { config }: WorkerImageArgs,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    // In older stacks the image's parent is the model's Inference component. With the alias, Pulumi keeps the
    // repository and the images of these stacks.
    const aliases = [{ parent: pulumi.createUrn(model, "snack:infra:Inference") }];
    super("snack:infra:WorkerImage", model, {}, pulumi.mergeOptions(opts, { aliases }));
    const { imageUri, imageTag = "", weights } = config[model];
    this.prebuilt = imageUri;
    if (imageUri === undefined) {
      const { repositoryUrl, uri } = this.build(imageTag, weights, config.huggingfaceTokens[model]);
      this.repositoryUrl = repositoryUrl;
      this.uri = uri;
    } else {
      this.repositoryUrl = pulumi.output(imageUri);
      this.uri = this.repositoryUrl;
    }
    this.registerOutputs({ uri: this.uri });
  }

  private build(
    tag: string,
    weights: Weights,
    token: pulumi.Output<string> | undefined,
  ): Pick<WorkerImage, "repositoryUrl" | "uri"> {
    const { model } = this;
    const repository = new ecr.Repository(
      model,
      // By default, awsx keeps only one untagged image. A rollback and a worker that starts late need earlier images.
      {
        forceDelete: true,
        // RunPod's hosts cache images by tag, so a tag must never move.
        imageTagMutability: "IMMUTABLE",
        imageScanningConfiguration: { scanOnPush: true },
        lifecyclePolicy: { rules: [{ tagStatus: "any", maximumNumberOfImages: 10 }] },
      },
      { parent: this },
    );
    const image = new ecr.Image(
      model,
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
      { parent: this, retainOnDelete: true, transforms: [buildSettings(token)] },
    );
    return { repositoryUrl: repository.url, uri: image.imageUri };
  }
}

/**
 * Sets the settings of the build for which awsx has no argument. A preview of a new tag builds no image. The Dockerfile
 * mounts the Hugging Face token while it downloads the weights, so that the token is in no layer of the image.
 */
function buildSettings(token: pulumi.Output<string> | undefined): pulumi.ResourceTransform {
  return ({ type, props, opts }) => {
    if (type !== "docker-build:index:Image") return undefined;
    return {
      props: { ...props, buildOnPreview: false, ...(token && { secrets: { HF_TOKEN: token } }) },
      // A rotated token does not change the weights, so that it must not build and roll out the same image again.
      opts: { ...opts, ignoreChanges: [...(opts.ignoreChanges ?? []), "secrets"] },
    };
  };
}
