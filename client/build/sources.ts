import { readdirSync } from "node:fs";

/** Folder of the files that npm packs. */
export const dist = "client/dist";
/** The package's entry. */
export const entry = "client/index.ts";

/** Files whose changes make the built files stale. */
export function sources(): string[] {
  const files = readdirSync("client").filter((name) => name.endsWith(".ts"));
  return ["package-lock.json", "tsconfig.json", ...files.map((name) => `client/${name}`)];
}
