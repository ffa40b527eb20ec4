import { createHash } from "node:crypto";

/** Derives a UUID from a text (version 8 of RFC 9562, from SHA-256). */
export function uuidOf(text: string): string {
  const bytes = createHash("sha256").update(text).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return format(bytes);
}

/** Random bits of an id that fits into a UUID: 21 symbols of base64url. */
export const UUID_ID_BITS = 126;

/**
 * Converts an id of 21 base64url symbols to a UUID, so that a token's `jti` looks like Cognito's and can be converted
 * back.
 */
export function idToUuid(id: string): string {
  // An additional symbol of zero bits completes the bytes.
  return format(Buffer.from(`${id}A`, "base64url"));
}

/** Inverse of `idToUuid`. */
export function uuidToId(uuid: string): string {
  return Buffer.from(uuid.replaceAll("-", ""), "hex").toString("base64url").slice(0, -1);
}

function format(bytes: Buffer): string {
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
