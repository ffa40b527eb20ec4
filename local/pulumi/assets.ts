import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { EngineError } from "./error";
import { isArchive, isAsset, isObject, type Properties, type Value } from "./value";

/**
 * Fills in the `hash` of every asset and archive, as Pulumi's engine does: a SHA-256 of the content, so that a file that
 * changed behind its path is a change of the property.
 *
 * @param directory what relative paths are relative to
 * @throws EngineError naming a file that cannot be read
 */
export async function hashAssets(properties: Properties, directory: string): Promise<Properties> {
  const entries = Object.entries(properties).map(async ([name, value]) => [name, await hashed(value, directory)]);
  return Object.fromEntries(await Promise.all(entries));
}

async function hashed(value: Value, directory: string): Promise<Value> {
  if (Array.isArray(value)) return Promise.all(value.map((item) => hashed(item, directory)));
  if (!isObject(value)) return value;
  const known = await hashAssets(value, directory);
  return isAsset(value) || isArchive(value) ? { ...known, hash: await hashOf(known, directory) } : known;
}

async function hashOf(asset: Properties, directory: string): Promise<string> {
  if (isObject(asset.assets)) {
    const entries = Object.entries(asset.assets).map(([name, entry]) => [name, isObject(entry) ? entry.hash : entry]);
    return sha256(JSON.stringify(entries.sort()));
  }
  if (typeof asset.path === "string") return pathHash(resolve(directory, asset.path));
  return sha256(String(asset.text ?? asset.uri));
}

async function pathHash(path: string): Promise<string> {
  try {
    if (!(await stat(path)).isDirectory()) return sha256(await readFile(path));
    const names = (await readdir(path)).sort();
    const entries = await Promise.all(names.map(async (name) => [name, await pathHash(join(path, name))]));
    return sha256(JSON.stringify(entries));
  } catch (cause) {
    throw cause instanceof EngineError ? cause : new EngineError(`cannot read the file ${path}`, { cause });
  }
}

function sha256(content: string | Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}
