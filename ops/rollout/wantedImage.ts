import type { Image } from "./stackFile";

/**
 * Completes an image that an operator has named.
 *
 * @param wanted a tag, a digest `sha256:…`, or the whole name `host/name:tag` or `host/name@sha256:…`
 * @param current the model's present image. A tag or a digest keeps its repository
 * @throws Error for a digest when the present image has no repository
 */
export function wantedImage(wanted: string, current: Image): Image {
  if (wanted.includes("/")) return { key: "imageUri", value: wanted };
  const isDigest = wanted.startsWith("sha256:");
  if (current.key === "imageUri") {
    const repository = current.value.replace(/(@sha256:\w+|:[^:/@]+)+$/, "");
    return { key: "imageUri", value: `${repository}${isDigest ? "@" : ":"}${wanted}` };
  }
  if (isDigest) {
    throw new Error(`${wanted}: the model has a tag and no repository. Give the whole name: host/name@${wanted}`);
  }
  return { key: "imageTag", value: wanted };
}
