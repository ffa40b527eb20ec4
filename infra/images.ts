import * as awsx from "@pulumi/awsx";
import * as pulumi from "@pulumi/pulumi";
import type { Model } from "../contract/plan";
import { buildArgs, type Weights } from "../images/models";
import type { Config } from "./config";

/** The image a model's workers run: built and pushed by the program, or named by URI when a pipeline has built it. */
export class WorkerImage extends pulumi.ComponentResource {
  /** The ready image's name as given; undefined for one that the program builds. */
  readonly ready: string | undefined;
  /** `host/name` of where it is, with the ready image's tag or digest. */
  readonly repositoryUrl: pulumi.Output<string>;
  /** `host/name@sha256:…`, or the ready image's name. */
  readonly uri: pulumi.Output<string>;

  constructor(
    readonly model: Model,
    config: Config,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    // It was once a part of the model's Inference: a stack of then keeps its repository, and the images in it.
    const aliases = [{ parent: pulumi.createUrn(model, "snack:infra:Inference") }];
    super("snack:infra:WorkerImage", model, {}, pulumi.mergeOptions(opts, { aliases }));
    const { imageUri, imageTag = "", weights } = config[model];
    this.ready = imageUri;
    if (imageUri === undefined) {
      const { url, uri } = this.build(model, imageTag, weights);
      this.repositoryUrl = url;
      this.uri = uri;
    } else {
      this.repositoryUrl = pulumi.output(imageUri);
      this.uri = this.repositoryUrl;
    }
    this.registerOutputs();
  }

  private build(
    model: Model,
    tag: string,
    weights: Weights,
  ): { url: pulumi.Output<string>; uri: pulumi.Output<string> } {
    const repository = new awsx.ecr.Repository(
      model,
      // awsx's own default keeps a single untagged image; a rollback and a late worker need the earlier ones.
      { forceDelete: true, lifecyclePolicy: { rules: [{ tagStatus: "any", maximumNumberOfImages: 10 }] } },
      { parent: this },
    );
    const image = new awsx.ecr.Image(
      model,
      {
        repositoryUrl: repository.url,
        // awsx names the build by its tag alone, and two builds of one name would clash.
        imageTag: `${model}-${tag}`,
        context: "./images",
        dockerfile: "./images/Dockerfile",
        platform: "linux/amd64",
        args: buildArgs(model, tag, weights),
      },
      // A new tag is a new image resource; deleting the old one would delete its manifest, and with it the way back.
      { parent: this, retainOnDelete: true },
    );
    return { url: repository.url, uri: image.imageUri };
  }
}
