import type { JavaScriptValue } from "google-protobuf/google/protobuf/struct_pb";

/** A property value in the Pulumi protocol. Secrets, assets and references are objects with a signature. */
export type Value = JavaScriptValue;

/** Properties by name. */
export type Properties = Record<string, Value>;

// Signatures from runtime/rpc.ts of @pulumi/pulumi. An import of that file would load the whole SDK.
const signatureKey = "4dabf18193072939515e22adb298388d";
const secretSignature = "1b47061264138c4ac30d75fd1eb44270";
const assetSignature = "c44067f5952c0a294b673a41bacd8c17";
const archiveSignature = "0def7320c3a5731c473e5ecbe6d01bc7";
const resourceSignature = "5cf8f73096256a8f31e491e813e4eb8e";
const outputSignature = "d0e6a833031e9bbcd3f4e8bde6ca49a4";

/** Placeholder for a value that is unknown in a preview. */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** Whether a value is an object and not an array. */
export function isObject(value: unknown): value is Properties {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Marks a value as secret. Returns a secret value unchanged. */
export function secret(value: Value): Properties {
  return isSecret(value) ? value : { [signatureKey]: secretSignature, value };
}

/** Whether the value itself is marked as secret. Does not look inside the value. */
export function isSecret(value: unknown): value is Properties {
  return isObject(value) && value[signatureKey] === secretSignature;
}

/** Whether a value is an asset: `{text}`, `{path}` or `{uri}`. */
export function isAsset(value: unknown): value is Properties {
  return isObject(value) && value[signatureKey] === assetSignature;
}

/** Whether a value is an archive: `{assets}`, `{path}` or `{uri}`. */
export function isArchive(value: unknown): value is Properties {
  return isObject(value) && value[signatureKey] === archiveSignature;
}

/** Creates an archive of all files below a folder. */
export function folderArchive(path: string): Properties {
  return { [signatureKey]: archiveSignature, path };
}

/** Removes secret marks at any depth. */
export function reveal(value: Value): Value {
  return rewrite(value, (marked) => (isSecret(marked) ? reveal(marked.value ?? null) : undefined));
}

/** Replaces output values with plain or secret values, because only remote components understand output values. */
export function collapseOutputs(value: Value): Value {
  return rewrite(value, (marked) => {
    if (marked[signatureKey] !== outputSignature) return undefined;
    const inner = "value" in marked ? collapseOutputs(marked.value ?? null) : UNKNOWN;
    return marked.secret === true ? secret(inner) : inner;
  });
}

/**
 * Replaces every resource reference with the id of the resource. Without an id, replaces it with the URN of the
 * resource.
 */
export function dereference(value: Value): Value {
  return rewrite(value, (marked) => {
    if (marked[signatureKey] !== resourceSignature) return undefined;
    // A resource that does not exist yet has an empty id.
    return marked.id === "" ? UNKNOWN : (marked.id ?? marked.urn ?? null);
  });
}

/** Applies a function to each property. */
export function mapValues(properties: Properties, change: (value: Value, name: string) => Value): Properties {
  return Object.fromEntries(Object.entries(properties).map(([name, value]) => [name, change(value, name)]));
}

/**
 * Replaces every object that has a signature, at any depth, with the result of `replace`. Keeps the object when the
 * result is undefined.
 */
export function rewrite(value: Value, replace: (marked: Properties) => Value | undefined): Value {
  if (Array.isArray(value)) return value.map((item) => rewrite(item, replace));
  if (!isObject(value)) return value;
  const replaced = signatureKey in value ? replace(value) : undefined;
  return replaced === undefined ? mapValues(value, (item) => rewrite(item, replace)) : replaced;
}
