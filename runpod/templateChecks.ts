import type { dynamic } from "@pulumi/pulumi";
import type { TemplateRecord } from "./client";
import type { Connection } from "./connection";
import { lookUpImage } from "./imageLookup";
import { isPrivateEcr } from "./imageName";
import { splitOwnerTag } from "./ownerTag";

const GB = 1e9;
/**
 * Ratio of the disk's size to the image's compressed size. Below this ratio, the check warns that the disk may be too
 * small. Layers with programs unpack to two or three times their size; layers with model weights hardly grow.
 */
const UNPACKED_PER_COMPRESSED = 1.5;

/** Explains why a stack must not adopt an existing template. Undefined if the template belongs to the stack. */
export function adoptionConflict(existing: TemplateRecord, owner: string): string | undefined {
  const holder = splitOwnerTag(existing.env).owner;
  if (holder === owner) return undefined;
  return (
    `RunPod already has a template named "${existing.name}" (${existing.id}). ` +
    `It belongs to ${holder ?? "somebody else"}, not to ${owner}. Choose another name, or delete that template.`
  );
}

/** Returns a failure when another owner's template has this name. Returns no failure when RunPod cannot be read. */
export async function checkName(
  { client }: Connection,
  { name, owner }: { name: string; owner: string },
): Promise<dynamic.CheckFailure[]> {
  const existing = await client.findTemplateByName(name).catch(() => undefined);
  const reason = existing && adoptionConflict(existing, owner);
  return reason === undefined ? [] : [{ property: "name", reason }];
}

/** Inputs of a template that are checked with the image's registry. */
interface CheckedImage {
  imageName: string;
  containerDiskInGb: number;
  containerRegistryAuthId?: string | undefined;
}

/**
 * Asks the image's registry whether the image exists, runs on RunPod's hosts and fits on the disk. Returns no failure
 * when the registry cannot be read.
 */
export async function checkImage(
  { imageLookupMs }: Pick<Connection, "imageLookupMs">,
  { imageName, containerDiskInGb, containerRegistryAuthId }: CheckedImage,
): Promise<dynamic.CheckFailure[]> {
  if (imageLookupMs === 0 || isPrivateEcr(imageName)) return [];
  const image = await lookUpImage(imageName, imageLookupMs);
  if (image?.status === "wrong platform") {
    const reason = `${imageName} is built only for ${image.platforms.join(", ")}: RunPod needs linux/amd64 (docker build --platform linux/amd64)`;
    return [{ property: "imageName", reason }];
  }
  // Some registries answer 404 for an image that exists but needs credentials.
  if (image?.status === "missing" && containerRegistryAuthId === undefined) {
    return [
      { property: "imageName", reason: `${imageName} is not in its registry: push it first, or correct the tag` },
    ];
  }
  if (image?.status !== "found") return [];
  const compressedGb = image.compressedBytes / GB;
  const size = `${compressedGb.toFixed(1)} GB compressed`;
  if (compressedGb >= containerDiskInGb) {
    const reason = `must be more than the size of the unpacked image, got ${containerDiskInGb}: the compressed image already has ${compressedGb.toFixed(1)} GB`;
    return [{ property: "containerDiskInGb", reason }];
  }
  if (compressedGb * UNPACKED_PER_COMPRESSED >= containerDiskInGb) {
    console.log(`RunPod template: a disk of ${containerDiskInGb} GB may be too small for ${imageName} (${size}).`);
  }
  return [];
}
