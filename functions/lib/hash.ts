import { createHash } from "node:crypto";

/** The first 22 characters of a SHA-256 hash in base64url: a name for a value that must not be stored or logged. */
export function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("base64url").slice(0, 22);
}
