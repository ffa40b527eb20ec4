import type { Model } from "../../contract/plan";
import { runTool } from "./runTool";
import { type Image, imageOf } from "./stackFile";

/**
 * Finds the image that a model had before `current`, in the committed versions of the stack's file.
 *
 * @returns the image. A tag that the stack's ECR still has is not built again
 * @throws Error when git has no earlier image
 */
export async function previousImage(file: string, model: Model, current: Image): Promise<Image> {
  const commits = await runTool("git", ["log", "--format=%H", "--", file]);
  for (const commit of commits.split("\n").filter(Boolean)) {
    // A commit that deleted the file has no version of it.
    const text = await runTool("git", ["show", `${commit}:${file}`]).catch(() => "");
    const image = imageOf(text, model);
    if (!image || image.value === current.value) continue;
    // Without a tag, a stack has no ECR repository.
    const isInEcr = image.key === "imageTag" && current.key !== "imageUri";
    return isInEcr ? { ...image, key: "pushedTag" } : image;
  }
  const depth = (await runTool("git", ["rev-parse", "--is-shallow-repository"])) === "true";
  throw new Error(
    `${file} has no earlier image of ${model} in git${depth ? ". The clone is shallow: run git fetch --unshallow" : ""}`,
  );
}
