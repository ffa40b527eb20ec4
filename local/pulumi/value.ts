import { isDeepStrictEqual } from "node:util";
import { hashOf } from "../support/protocol/assets";
import {
  isArchive,
  isAsset,
  isObject,
  isSecret,
  mapValues,
  type Properties,
  reveal,
  rewrite,
  secret,
  type Value,
} from "../support/protocol/value";

/** Replaces every secret with the text `[secret]`. */
export function mask(value: Value): Value {
  return rewrite(value, (marked) => (isSecret(marked) ? "[secret]" : undefined));
}

/** Marks an output as secret when the input of the same name is secret, for providers that return plain values. */
export function restoreSecrets(outputs: Properties, inputs: Properties): Properties {
  return mapValues(outputs, (output, name) => restore(output, inputs[name]));
}

/** Whether two values are equal. Compares assets by content, so a moved file is not a change. */
export function isSame(one: Value | undefined, other: Value | undefined): boolean {
  return isDeepStrictEqual(contentOf(one ?? null), contentOf(other ?? null));
}

/**
 * Sets `hash` of every asset and archive to the SHA-256 of its content, as Pulumi's engine does. So a changed file
 * shows as a changed property.
 *
 * @param directory base folder of relative paths
 * @throws Error with the path of a file that cannot be read. Also throws for a kind of asset that is not supported
 */
export async function hashAssets(properties: Properties, directory: string): Promise<Properties> {
  const entries = Object.entries(properties).map(async ([name, value]) => [name, await withHashes(value, directory)]);
  return Object.fromEntries(await Promise.all(entries));
}

function restore(output: Value, input: Value | undefined): Value {
  if (isSecret(input)) return secret(output);
  if (Array.isArray(input)) return input.some(isSecret) ? secret(output) : output;
  return isObject(input) && isObject(output) ? restoreSecrets(output, input) : output;
}

function contentOf(value: Value): Value {
  return rewrite(value, (marked) =>
    isAsset(marked) || isArchive(marked) ? [isAsset(marked), marked.hash ?? null] : undefined,
  );
}

async function withHashes(value: Value, directory: string): Promise<Value> {
  if (Array.isArray(value)) return Promise.all(value.map((item) => withHashes(item, directory)));
  if (isAsset(value) || isArchive(value)) return { ...value, hash: await hashOf(reveal(value), directory) };
  return isObject(value) ? hashAssets(value, directory) : value;
}
