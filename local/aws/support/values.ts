import {
  collapseOutputs,
  dereference,
  isObject,
  isSecret,
  reveal,
  secret,
  UNKNOWN,
} from "../../support/protocol/value";

/** Properties of a resource by name. */
export type Properties = Record<string, unknown>;

/**
 * Removes secret and output wrappers at any depth and replaces each resource reference with the id of the resource.
 * Keeps assets and archives as signed objects, and unknown values as `UNKNOWN`.
 */
export function plain(value: unknown): unknown {
  return value === undefined ? undefined : dereference(reveal(collapseOutputs(value)));
}

/** Applies `plain` to every property. */
export function plainProperties(value: Properties): Properties {
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item)]));
}

/** Whether a value contains a secret at any depth. */
export function holdsSecret(value: unknown): boolean {
  return value !== undefined && holds(collapseOutputs(value), isSecret);
}

/** Whether a plain value contains an unknown at any depth. */
export function holdsUnknown(value: unknown): boolean {
  return holds(value, (item) => item === UNKNOWN);
}

/**
 * Marks properties as secret: those in `names`, and those that contain a secret in one of `origins`. Without `origins`
 * a secret input could become a plain output.
 */
export function keepSecrets(properties: Properties, names: readonly string[], ...origins: Properties[]): Properties {
  return Object.fromEntries(
    Object.entries(properties).map(([name, value]) => {
      const isHidden = names.includes(name) || origins.some((origin) => holdsSecret(origin[name]));
      return [name, isHidden && value !== null && value !== undefined ? secret(value) : value];
    }),
  );
}

/** Removes `undefined` members at any depth, because a protobuf struct cannot contain them. */
export function withoutUndefined<T>(value: T): T {
  return value === undefined ? value : JSON.parse(JSON.stringify(value));
}

/** JSON with sorted object members. The members must be sorted, because gRPC does not preserve their order. */
export function stableJson(value: unknown): string {
  return JSON.stringify(value, (_name, item: unknown) =>
    isObject(item) ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1))) : item,
  );
}

/** Reads a string property. Throws for any other type. */
export function text(properties: Properties, name: string): string {
  const value = properties[name];
  if (typeof value !== "string") throw new Error(`${name}: must be a string`);
  return value;
}

/** Reads a list of strings; an absent list is empty. */
export function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

function holds(value: unknown, test: (item: unknown) => boolean): boolean {
  if (test(value)) return true;
  if (Array.isArray(value)) return value.some((item) => holds(item, test));
  return isObject(value) && Object.values(value).some((item) => holds(item, test));
}
