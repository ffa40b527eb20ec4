import type { dynamic } from "@pulumi/pulumi";
import type { TemplateRecord } from "./client";
import type { Connection } from "./connection";
import { lookUpImage } from "./imageLookup";
import { isPrivateEcr } from "./imageName";
import { splitMark } from "./ownerTag";

const GB = 1e9;
/** Layers of programs unpack to two or three times their size, weights to hardly more than it: below this it is close. */
const UNPACKED_PER_COMPRESSED = 1.5;

/** Why a template that others made may not be taken over; undefined when it is this stack's own. */
export function takenBy(existing: TemplateRecord, owner: string): string | undefined {
  const holder = splitMark(existing.env).owner;
  if (holder === owner) return undefined;
  return (
    `RunPod already has a template named "${existing.name}" (${existing.id}), made by ${holder ?? "somebody else"} and not by ` +
    `${owner}. Choose another name, or delete that template.`
  );
}

/** Whether somebody else's template has the name. What cannot be asked now is not refused. */
export async function checkName(
  { client }: Connection,
  { name, owner }: { name: string; owner: string },
): Promise<dynamic.CheckFailure[]> {
  const existing = await client.findTemplateByName(name).catch(() => undefined);
  const reason = existing && takenBy(existing, owner);
  return reason === undefined ? [] : [{ property: "name", reason }];
}

/** What of an image its registry lets anybody see. */
interface CheckedImage {
  imageName: string;
  containerDiskInGb: number;
  containerRegistryAuthId?: string | undefined;
}

/**
 * Whether RunPod's hosts can run an image and the disk holds it, as far as its registry tells. A registry that cannot be
 * read refuses nothing.
 */
export async function checkImage(
  { imageLookupMs }: Pick<Connection, "imageLookupMs">,
  { imageName, containerDiskInGb, containerRegistryAuthId }: CheckedImage,
): Promise<dynamic.CheckFailure[]> {
  if (imageLookupMs === 0 || isPrivateEcr(imageName)) return [];
  const facts = await lookUpImage(imageName, imageLookupMs);
  if (facts?.is === "foreign") {
    const reason = `${imageName} is built for ${facts.platforms.join(", ")} only: RunPod needs linux/amd64 (docker build --platform linux/amd64)`;
    return [{ property: "imageName", reason }];
  }
  // Some registries say so of an image that they only show to those with credentials.
  if (facts?.is === "missing" && containerRegistryAuthId === undefined) {
    return [
      { property: "imageName", reason: `${imageName} is not in its registry: push it first, or correct the tag` },
    ];
  }
  if (facts?.is !== "there") return [];
  const compressedGb = facts.compressedBytes / GB;
  const size = `${compressedGb.toFixed(1)} GB compressed`;
  if (compressedGb >= containerDiskInGb) {
    const reason = `must hold the unpacked image, which is ${size} already, got ${containerDiskInGb}`;
    return [{ property: "containerDiskInGb", reason }];
  }
  if (compressedGb * UNPACKED_PER_COMPRESSED >= containerDiskInGb) {
    console.log(`RunPod template: a disk of ${containerDiskInGb} GB may be too small for ${imageName} (${size}).`);
  }
  return [];
}
