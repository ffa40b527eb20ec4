import { isDeepStrictEqual } from "node:util";
import type { dynamic } from "@pulumi/pulumi";
import type { z } from "zod";

/** Properties that Pulumi passes to a provider: the properties of the resource, and Pulumi's own `__provider`. */
export type Properties = Record<string, unknown>;

/**
 * Schemas of a resource's properties. Each field has a separate schema, so that an unknown value in one field does not
 * hide an error in another field.
 */
type Fields = Record<string, z.ZodType>;

/** Validated values of `Fields`. */
export type Values<F extends Fields> = z.infer<z.ZodObject<F>>;

/**
 * Placeholder for a value that is not known during preview. Equals `pulumi.runtime.unknownValue`. The constant is
 * repeated here, because the provider's bundle must not contain the whole SDK.
 */
const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** Creates the error text of a schema: the allowed values and the received value. */
export function mustBe(allowed: string) {
  return ({ input }: { input?: unknown }) =>
    input === undefined ? `is required: ${allowed}` : `must be ${allowed}, got ${JSON.stringify(input)}`;
}

/**
 * Selects a resource's fields from its properties, validates each field and adds default values. Accepts values that
 * are unknown during preview.
 *
 * @returns the inputs, and one failure per error with the path of the property or list element
 */
export function checkFields(
  fields: Fields,
  properties: Properties,
): { inputs: Properties; failures: dynamic.CheckFailure[] } {
  const inputs: Properties = {};
  const failures: dynamic.CheckFailure[] = [];
  for (const [name, field] of Object.entries(fields)) {
    const value = properties[name];
    const parsed = field.safeParse(value);
    const input = parsed.success ? parsed.data : value;
    // Pulumi cannot transmit undefined.
    if (input !== undefined) inputs[name] = input;
    for (const issue of parsed.error?.issues ?? []) {
      if (valueAt(value, issue.path) === UNKNOWN) continue;
      failures.push({ property: [name, ...issue.path].join("."), reason: issue.message });
    }
  }
  return { inputs, failures };
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown> | undefined)?.[key], value);
}

/**
 * Whether the provider treats two values as equal. Compares lists as sets, and ignores the order of an object's keys.
 */
function isSame(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(comparable(a), comparable(b));
}

function comparable(value: unknown): unknown {
  return Array.isArray(value) ? [...new Set(value)].sort() : value;
}

/** Whether a field differs. Lists are compared as sets. */
export function changed(before: Properties, after: Properties, name: string): boolean {
  return !isSame(before[name], after[name]);
}

/** Whether a value, including everything inside it, is known. */
export function isKnown(value: unknown): boolean {
  return typeof value === "object" && value !== null ? Object.values(value).every(isKnown) : value !== UNKNOWN;
}

/**
 * Compares the fields of a resource. Lists are compared as sets.
 *
 * @param replaceOn fields that cannot be changed in place; default none
 */
export function diffFields(
  fields: Fields,
  olds: Properties,
  news: Properties,
  replaceOn: string[] = [],
): dynamic.DiffResult {
  const before = checkFields(fields, olds).inputs;
  const after = checkFields(fields, news).inputs;
  const differing = Object.keys(fields).filter((name) => changed(before, after, name));
  return { changes: differing.length > 0, replaces: differing.filter((name) => replaceOn.includes(name)) };
}

/**
 * Returns the actual properties. If an actual value equals the declared value by `isSame`, returns the declared value,
 * so that Pulumi shows only real drift.
 */
export function asDeclared(declared: Properties, actual: Properties): Properties {
  return Object.fromEntries(
    Object.entries(actual)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, isSame(declared[name], value) ? declared[name] : value]),
  );
}
