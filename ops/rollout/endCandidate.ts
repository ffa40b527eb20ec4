import type { Model } from "../../contract/plan";
import { candidateOf } from "./candidateFile";
import { applyChange, type ChangeOptions, imageOverrides, readImage } from "./changeImage";
import type { ImageChange } from "./propose";
import { type Image, withImage } from "./stackFile";

/**
 * Releases a model's candidate in the stack's file: its image becomes the model's image, and its block is removed. The
 * next `pulumi up` rolls the new image out to the released endpoint, waits for the workers, and then deletes the
 * candidate's endpoint.
 *
 * @param check gets the candidate's image, and throws when it must not be released
 * @throws Error when the stack has no file, when the model has no candidate, or when the new configuration is not valid
 */
export async function promoteInFile(
  model: Model,
  options: ChangeOptions,
  check: (image: string) => Promise<void>,
): Promise<ImageChange> {
  const { file, image, candidate, without } = readCandidate(model, options.stack);
  await check(candidate.value);
  const change: ImageChange = { stack: options.stack, model, file, from: image.value, to: candidate.value };
  const overrides = { ...imageOverrides(model, candidate), [`${model}.candidate`]: undefined };
  await applyChange("Promote", change, withImage(without, model, candidate), overrides, options);
  return change;
}

/**
 * Removes a model's candidate from the stack's file. The next `pulumi up` deletes the candidate's endpoint. Throws the
 * errors of `promoteInFile`.
 */
export async function removeFromFile(model: Model, options: ChangeOptions): Promise<ImageChange> {
  const { file, image, candidate, without } = readCandidate(model, options.stack);
  const change: ImageChange = { stack: options.stack, model, file, from: candidate.value, to: image.value };
  // While a model has a candidate, the sources describe the candidate, and the program does not build the released image.
  if (image.key === "imageTag") {
    change.warning =
      `If images/${model} has the candidate's model.json, get the old one back before pulumi up: git checkout <commit> -- ` +
      `images/${model}. Otherwise pulumi up builds ${image.value} again, and ECR refuses its tag.`;
  }
  await applyChange("Abort", change, without, { [`${model}.candidate`]: undefined }, options);
  return change;
}

function readCandidate(
  model: Model,
  stack: string,
): { file: string; text: string; image: Image; candidate: Image; without: string } {
  const { file, text, image } = readImage(stack, model);
  const { image: candidate, without } = candidateOf(text, model) ?? {};
  if (candidate && without !== undefined) return { file, text, image, candidate, without };
  throw new Error(`${file} has no candidate of ${model}: add the block ${model}.candidate first`);
}
