import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { isArchive, isAsset, isObject, type Properties } from "./value";

/** Content of an asset or an archive. */
export type Content = { text: string } | { path: string } | { assets: Properties };

/**
 * Returns the content of an asset or an archive.
 *
 * @throws Error for any other value and for a remote (`uri`) asset or archive
 */
export function contentOf(file: unknown): Content {
  if (isAsset(file) || isArchive(file)) {
    if (isObject(file.assets)) return { assets: file.assets };
    // Over gRPC an absent member arrives as an empty string.
    if (typeof file.path === "string" && file.path !== "") return { path: file.path };
    if (isAsset(file) && typeof file.text === "string" && !file.uri) return { text: file.text };
    if (isArchive(file) && !file.uri) return { assets: {} };
  }
  throw new Error("must be text, a path, or an archive of these");
}

/**
 * Hex SHA-256 of the names and contents in an asset or archive. `file` must not have secret marks.
 *
 * @param directory base folder of relative paths
 * @throws Error with the path of a file that cannot be read, and the error of `contentOf` for an invalid `file`
 */
export async function hashOf(file: unknown, directory: string): Promise<string> {
  const content = contentOf(file);
  if ("text" in content) return sha256(content.text);
  if ("path" in content) return pathHash(resolve(directory, content.path));
  const entries = Object.entries(content.assets).map(async ([name, entry]) => [
    name,
    // In a preview an entry may be unknown. An unknown value is a string, not an object.
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
