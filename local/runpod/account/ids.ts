import { randomBytes } from "node:crypto";

/** Random id in RunPod's format: 14 lower-case letters and digits after `prefix`. */
export function newId(prefix = ""): string {
  return prefix + randomBytes(7).toString("hex");
}

/** Random key for the workers of an endpoint. Secret. */
export function newAiKey(): string {
  return randomBytes(24).toString("hex");
}
