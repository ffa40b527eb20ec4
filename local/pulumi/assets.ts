import { hashOf } from "../support/protocol/assets";
import { isArchive, isAsset, isObject, type Properties, reveal, type Value } from "../support/protocol/value";

/**
 * Fills in the `hash` of every asset and archive, as Pulumi's engine does: a SHA-256 of the content, so that a file that
 * changed behind its path is a change of the property.
 *
 * @param directory what relative paths are relative to
 * @throws Error naming a file that cannot be read, or an asset of another kind than text, path and archive
 */
export async function hashAssets(properties: Properties, directory: string): Promise<Properties> {
  const entries = Object.entries(properties).map(async ([name, value]) => [name, await hashed(value, directory)]);
  return Object.fromEntries(await Promise.all(entries));
}

async function hashed(value: Value, directory: string): Promise<Value> {
  if (Array.isArray(value)) return Promise.all(value.map((item) => hashed(item, directory)));
  if (isAsset(value) || isArchive(value)) return { ...value, hash: await hashOf(reveal(value), directory) };
  return isObject(value) ? hashAssets(value, directory) : value;
}
