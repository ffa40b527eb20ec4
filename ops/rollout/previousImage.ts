import type { Model } from "../../contract/plan";
import { runTool } from "./runTool";
import { type Image, imageOf } from "./stackFile";

/** An image of an earlier commit. */
interface PreviousImage extends Image {
  /** The newest commit whose sources describe the image. */
  commit: string;
}

/**
 * Finds the image that a model had before `current`, in the committed versions of the stack's file.
 *
 * @returns the image. A tag that the stack's ECR still has is not built again
 * @throws Error when git has no earlier image
 */
export async function previousImage(file: string, model: Model, current: Image): Promise<PreviousImage> {
  let previous: PreviousImage | undefined;
  for await (const found of imagesOf(file, model)) {
    previous ??= found.value === current.value ? undefined : found;
    // The sources of a commit with pushedTag are those of another image.
    if (previous && found.value === previous.value && found.key !== "pushedTag") {
      previous.commit = found.commit;
      break;
    }
  }
  if (previous) return previous.key === "imageUri" ? previous : { ...previous, key: keyOfTag(current) };
  const depth = (await runTool("git", ["rev-parse", "--is-shallow-repository"])) === "true";
  throw new Error(
    `${file} has no earlier image of ${model} in git${depth ? ". The clone is shallow: run git fetch --unshallow" : ""}`,
  );
}

/** While a model has an `imageUri`, the stack has no ECR repository for it. So the program must build a tag again. */
function keyOfTag(current: Image): Image["key"] {
  return current.key === "imageUri" ? "imageTag" : "pushedTag";
}

/** The images of a model in the committed versions of the stack's file, the newest first. */
async function* imagesOf(file: string, model: Model): AsyncGenerator<PreviousImage> {
  const commits = await runTool("git", ["log", "--format=%H", "--", file]);
  for (const commit of commits.split("\n").filter(Boolean)) {
    // A commit that deleted the file has no version of it.
    const text = await runTool("git", ["show", `${commit}:${file}`]).catch(() => "");
    const image = imageOf(text, model);
    if (image) yield { ...image, commit };
  }
}
