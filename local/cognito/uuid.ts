import { createHash } from "node:crypto";

/** A UUID that always follows from the same text (version 8 of RFC 9562, from SHA-256). */
export function uuidOf(text: string): string {
  const bytes = createHash("sha256").update(text).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return format(bytes);
}

/** Random bits of an id that `idToUuid` can write as a UUID: 21 symbols of base64url. */
export const UUID_ID_BITS = 126;

/** Writes an id of 21 base64url symbols as a UUID, so that a token's `jti` looks like Cognito's and leads back to the id. */
export function idToUuid(id: string): string {
  // One more symbol of zero bits makes the 126 bits whole bytes.
  return format(Buffer.from(`${id}A`, "base64url"));
}

/** The id that `idToUuid` wrote. */
export function uuidToId(uuid: string): string {
  return Buffer.from(uuid.replaceAll("-", ""), "hex").toString("base64url").slice(0, -1);
}

function format(bytes: Buffer): string {
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
