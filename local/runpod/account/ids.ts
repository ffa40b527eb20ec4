import { randomBytes } from "node:crypto";

/** An id as RunPod's look: 14 lower-case letters and digits, after `prefix`. */
export function newId(prefix = ""): string {
  return prefix + randomBytes(7).toString("hex");
}

/** A key an endpoint's workers present. Secret. */
export function newAiKey(): string {
  return randomBytes(24).toString("hex");
}
