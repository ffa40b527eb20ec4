import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { isArchive, isAsset, isObject, type Properties } from "./value";

/** What an asset or an archive is made of. */
export type Content = { text: string } | { path: string } | { assets: Properties };

/** @throws Error when it is neither an asset nor an archive, or a remote (`uri`) one */
export function contentOf(file: unknown): Content {
  if (isAsset(file) || isArchive(file)) {
    if (isObject(file.assets)) return { assets: file.assets };
    // The wire fills in what is not given with empty text.
    if (typeof file.path === "string" && file.path !== "") return { path: file.path };
    if (isAsset(file) && typeof file.text === "string" && !file.uri) return { text: file.text };
    if (isArchive(file) && !file.uri) return { assets: {} };
  }
  throw new Error("expected text, a path, or an archive of these");
}

/**
 * Hex SHA-256 over the names and contents of a plain asset or archive.
 *
 * @param directory what relative paths are relative to
 * @throws Error naming a file that cannot be read, and as `contentOf` does
 */
export async function hashOf(file: unknown, directory: string): Promise<string> {
  const content = contentOf(file);
  if ("text" in content) return sha256(content.text);
  if ("path" in content) return pathHash(resolve(directory, content.path));
  const entries = Object.entries(content.assets).map(async ([name, entry]) => [
    name,
    // A preview may not know an entry yet.
    isObject(entry) ? await hashOf(entry, directory) : entry,
  ]);
  return sha256(JSON.stringify((await Promise.all(entries)).sort()));
}

async function pathHash(path: string): Promise<string> {
  const found = await stat(path).catch((cause) => {
    throw new Error(`cannot read the file ${path}`, { cause });
  });
  if (!found.isDirectory()) return sha256(await readFile(path));
  const names = (await readdir(path)).sort();
  const entries = await Promise.all(names.map(async (name) => [name, await pathHash(join(path, name))]));
  return sha256(JSON.stringify(entries));
}

function sha256(content: string | Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}
