/**
 * Property values as Pulumi's provider protocol carries them: JSON with a few signed wrappers.
 * The signatures are those of `@pulumi/pulumi/runtime/rpc`.
 */

/** The key that marks a wrapper object. */
export const SIGNATURE = "4dabf18193072939515e22adb298388d";
/** Stands for a value that is not known until something is created. */
export const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
/** Marks an asset: `{text}`, `{path}` or `{uri}`. */
export const ASSET = "c44067f5952c0a294b673a41bacd8c17";
/** Marks an archive: `{assets}`, `{path}` or `{uri}`. */
export const ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7";

const SECRET = "1b47061264138c4ac30d75fd1eb44270";
const OUTPUT_VALUE = "d0e6a833031e9bbcd3f4e8bde6ca49a4";
const RESOURCE_REFERENCE = "5cf8f73096256a8f31e491e813e4eb8e";

/** A resource's properties by name. */
export type Properties = Record<string, unknown>;

/** Whether a value is a plain JSON object. */
export function isObject(value: unknown): value is Properties {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Removes secret and output wrappers at any depth. Assets and archives stay as their signed objects, unknowns as
 * `UNKNOWN`, and a reference to a resource becomes that resource's id.
 */
export function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (!isObject(value)) return value;
  switch (value[SIGNATURE]) {
    case SECRET:
      return plain(value.value);
    case OUTPUT_VALUE:
      return "value" in value ? plain(value.value) : UNKNOWN;
    case RESOURCE_REFERENCE:
      return value.id === "" ? UNKNOWN : plain(value.id);
    default:
      return plainProperties(value);
  }
}

/** `plain` for an object known to be one. */
export function plainProperties(value: Properties): Properties {
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item)]));
}

/** Whether a secret is anywhere in a value. */
export function holdsSecret(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(holdsSecret);
  if (!isObject(value)) return false;
  if (value[SIGNATURE] === SECRET) return true;
  if (value[SIGNATURE] === OUTPUT_VALUE && value.secret === true) return true;
  return Object.values(value).some(holdsSecret);
}

/** Whether an unknown is anywhere in a plain value. */
export function holdsUnknown(value: unknown): boolean {
  if (value === UNKNOWN) return true;
  if (Array.isArray(value)) return value.some(holdsUnknown);
  return isObject(value) && Object.values(value).some(holdsUnknown);
}

/** Wraps a value as a secret. */
export function secret(value: unknown): Properties {
  return { [SIGNATURE]: SECRET, value };
}

/**
 * Wraps every property named in `names`, and every one that came wrapped (wholly or in part) in one of `origins`, as a
 * secret: what went in as a secret never comes out in the clear.
 */
export function keepSecrets(properties: Properties, names: readonly string[], ...origins: Properties[]): Properties {
  return Object.fromEntries(
    Object.entries(properties).map(([name, value]) => {
      const hidden = names.includes(name) || origins.some((origin) => holdsSecret(origin[name]));
      return [name, hidden && value !== null ? secret(value) : value];
    }),
  );
}

/** Leaves out `undefined` members at any depth, which a protobuf struct cannot carry. */
export function withoutUndefined<T>(value: T): T {
  return value === undefined ? value : JSON.parse(JSON.stringify(value));
}

/** Reads a property that must be text. */
export function text(properties: Properties, name: string): string {
  const value = properties[name];
  if (typeof value !== "string") throw new Error(`${name}: expected text`);
  return value;
}

/** Reads a list of text; an absent one is empty. */
export function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}
