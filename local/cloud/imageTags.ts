import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod/mini";
import { type Model, models } from "../../contract/plan";
import { buildArgs } from "../../images/models";
import { configKey } from "../../names";
import { hashContext } from "../aws/ecr/dockerBuild";
import { readStackConfig, type StackConfig } from "../support/stackConfig";

/** Image tags as overrides of the configuration, by path, such as `phi3.imageTag`. */
export type ImageTags = Record<string, string>;

const ModelConfig = z.object({
  imageTag: z.optional(z.string()),
  weights: z.optional(z.enum(["baked", "cached"])),
});

/** Reads the image tags of a stack. A model with `imageUri` has no tag. */
export function imageTagsOf(config: StackConfig): ImageTags {
  return tagsOf(config, (_model, { imageTag }) => imageTag);
}

/**
 * Image tags of `npm start`: the tag in `Pulumi.local.yaml`, and a hash of everything that the build of the image
 * reads. ECR refuses to move a tag, so every change of `images/` needs a new tag.
 */
export async function imageTagsOfSources(programDir: string): Promise<ImageTags> {
  const images = join(programDir, "images");
  const sources = await Promise.all([hashContext(images), readFile(join(images, "Dockerfile"), "utf8")]);
  return tagsOf(readStackConfig(programDir, "local"), (model, { imageTag, weights }) => {
    const read = JSON.stringify([...sources, buildArgs(model, imageTag, weights)]);
    return `${imageTag}-${createHash("sha256").update(read).digest("hex").slice(0, 8)}`;
  });
}

type TaggedModel = z.infer<typeof ModelConfig> & { imageTag: string };

function tagsOf({ values }: StackConfig, tagOf: (model: Model, config: TaggedModel) => string): ImageTags {
  const tags = models.flatMap((model) => {
    const { imageTag, ...config } = ModelConfig.parse(JSON.parse(values[configKey(model)] ?? "{}"));
    return imageTag === undefined ? [] : [[`${model}.imageTag`, tagOf(model, { imageTag, ...config })]];
  });
  return Object.fromEntries(tags);
}
