import * as awsx from "@pulumi/awsx";
import * as pulumi from "@pulumi/pulumi";
import type { Model } from "../contract/plan";
import { buildArgs } from "../images/models";
import type { Config } from "./config";

/** The image a model's workers run: built and pushed by the program, or named by URI when a pipeline has built it. */
export class WorkerImage extends pulumi.ComponentResource {
  /** `host/name@sha256:…`, or the ready URI as given. */
  readonly uri: pulumi.Output<string>;

  constructor(
    name: string,
    args: { model: Model } & Pick<Config["phi3"], "imageTag" | "imageUri">,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("snack:infra:WorkerImage", name, {}, opts);
    this.uri = args.imageUri ? pulumi.output(args.imageUri) : this.build(name, args.model, args.imageTag ?? "");
    this.registerOutputs();
  }

  private build(name: string, model: Model, tag: string): pulumi.Output<string> {
    const repository = new awsx.ecr.Repository(
      name,
      // awsx's own default keeps a single untagged image; a rollback and a late worker need the earlier ones.
      { forceDelete: true, lifecyclePolicy: { rules: [{ tagStatus: "any", maximumNumberOfImages: 10 }] } },
      { parent: this },
    );
    const image = new awsx.ecr.Image(
      name,
      {
        repositoryUrl: repository.url,
        // awsx names the build by its tag alone, and two builds of one name would clash.
        imageTag: `${model}-${tag}`,
        context: "./images",
        dockerfile: `./images/${model}/Dockerfile`,
        platform: "linux/amd64",
        args: buildArgs(model, tag),
      },
      // A new tag is a new image resource; deleting the old one would delete its manifest, and with it the way back.
      { parent: this, retainOnDelete: true },
    );
    return image.imageUri;
  }
}
