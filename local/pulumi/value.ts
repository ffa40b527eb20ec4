import { isDeepStrictEqual } from "node:util";
import {
  isArchive,
  isAsset,
  isObject,
  isSecret,
  mapValues,
  type Properties,
  rewrite,
  secret,
  type Value,
} from "../support/protocol/value";

/** The value with a fixed text in place of every secret. */
export function mask(value: Value): Value {
  return rewrite(value, (marked) => (isSecret(marked) ? "[secret]" : undefined));
}

/** Marks the outputs whose input of the same name is secret, for a provider that takes and gives plain values. */
export function restoreSecrets(outputs: Properties, inputs: Properties): Properties {
  return mapValues(outputs, (output, name) => restore(output, inputs[name]));
}

/** Whether two values are the same. Assets are compared by content, so a moved file is no change. */
export function isSame(one: Value | undefined, other: Value | undefined): boolean {
  return isDeepStrictEqual(contentOf(one ?? null), contentOf(other ?? null));
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
