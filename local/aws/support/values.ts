import {
  collapseOutputs,
  dereference,
  isObject,
  isSecret,
  reveal,
  secret,
  UNKNOWN,
} from "../../support/protocol/value";

/** A resource's properties by name. */
export type Properties = Record<string, unknown>;

/**
 * Removes secret and output wrappers at any depth. Assets and archives stay as their signed objects, unknowns as
 * `UNKNOWN`, and a reference to a resource becomes that resource's id.
 */
export function plain(value: unknown): unknown {
  return value === undefined ? undefined : dereference(reveal(collapseOutputs(value)));
}

/** `plain` for an object known to be one. */
export function plainProperties(value: Properties): Properties {
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item)]));
}

/** Whether a secret is anywhere in a value. */
export function holdsSecret(value: unknown): boolean {
  return value !== undefined && holds(collapseOutputs(value), isSecret);
}

/** Whether an unknown is anywhere in a plain value. */
export function holdsUnknown(value: unknown): boolean {
  return holds(value, (item) => item === UNKNOWN);
}

/**
 * Wraps every property named in `names`, and every one that came wrapped (wholly or in part) in one of `origins`, as a
 * secret: what went in as a secret never comes out in the clear.
 */
export function keepSecrets(properties: Properties, names: readonly string[], ...origins: Properties[]): Properties {
  return Object.fromEntries(
    Object.entries(properties).map(([name, value]) => {
      const hidden = names.includes(name) || origins.some((origin) => holdsSecret(origin[name]));
      return [name, hidden && value !== null && value !== undefined ? secret(value) : value];
    }),
  );
}

/** Leaves out `undefined` members at any depth, which a protobuf struct cannot carry. */
export function withoutUndefined<T>(value: T): T {
  return value === undefined ? value : JSON.parse(JSON.stringify(value));
}

/** JSON with the members of every object in order of their names: the wire keeps no order. */
export function stableJson(value: unknown): string {
  return JSON.stringify(value, (_name, item: unknown) =>
    isObject(item) ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1))) : item,
  );
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

function holds(value: unknown, test: (item: unknown) => boolean): boolean {
  if (test(value)) return true;
  if (Array.isArray(value)) return value.some((item) => holds(item, test));
  return isObject(value) && Object.values(value).some((item) => holds(item, test));
}
