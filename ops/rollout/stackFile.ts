import { isMap, isScalar, parseDocument, type Scalar, type YAMLMap } from "yaml";
import type { Model } from "../../contract/plan";
import { configKey } from "../../names";

/** The image of a model in a stack's file: a tag that the program builds, or the name of an image that is already pushed. */
export interface Image {
  key: "imageTag" | "imageUri";
  value: string;
}

/** An image, and its place in the text of the stack's file. */
interface PlacedImage {
  image: Image;
  start: number;
  end: number;
}

/**
 * Reads the image of a model.
 *
 * @param text text of `Pulumi.<stack>.yaml`
 * @returns undefined when the file has no image for the model, or is not YAML
 */
export function imageOf(text: string, model: Model): Image | undefined {
  return placedImage(text, model)?.image;
}

/**
 * Replaces the image of a model. Every other character of the file stays: comments, order and line breaks.
 *
 * @param text text of `Pulumi.<stack>.yaml`
 * @throws Error when the file has no image for the model
 */
export function withImage(text: string, model: Model, { key, value }: Image): string {
  const placed = placedImage(text, model);
  if (!placed) throw new Error(`${configKey(model)}: must have imageTag or imageUri`);
  return `${text.slice(0, placed.start)}${key}: ${JSON.stringify(value)}${text.slice(placed.end)}`;
}

function placedImage(text: string, model: Model): PlacedImage | undefined {
  const document = parseDocument(text);
  const block = document.errors.length === 0 ? document.getIn(["config", configKey(model)]) : undefined;
  return isMap(block) ? imageIn(block) : undefined;
}

/** Finds the image of a block: a model's, or that of its candidate. */
export function imageIn(block: YAMLMap): PlacedImage | undefined {
  for (const { key, value } of block.items) {
    if (!isScalar(key) || !isScalar(value) || !isImageKey(key.value)) continue;
    // A tag of digits without quotes is a number in YAML. `source` keeps its leading zeros.
    const image = { key: key.value, value: value.source ?? String(value.value) };
    return { image, start: rangeOf(key)[0], end: rangeOf(value)[1] };
  }
  return undefined;
}

function isImageKey(key: unknown): key is Image["key"] {
  return key === "imageTag" || key === "imageUri";
}

function rangeOf({ range }: Scalar): [number, number] {
  if (!range) throw new Error("The YAML parser gave no position");
  return [range[0], range[1]];
}
