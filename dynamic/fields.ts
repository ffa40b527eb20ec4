import { isDeepStrictEqual } from "node:util";
import type { dynamic } from "@pulumi/pulumi";
import type { z } from "zod";
import { UNKNOWN } from "./unknown";

/** What Pulumi hands to a provider: the resource's properties and Pulumi's own `__provider` among them. */
export type Properties = Record<string, unknown>;

/** The properties of a resource: a schema per field, so that one value not known yet hides no fault of another. */
type Fields = Record<string, z.ZodType>;

/** The trusted values of `Fields`. */
export type Values<F extends Fields> = z.infer<z.ZodObject<F>>;

/** The error text of a schema: what is allowed, and what came instead. */
export function mustBe(allowed: string) {
  return ({ input }: { input?: unknown }) =>
    input === undefined ? `is required: ${allowed}` : `must be ${allowed}, got ${JSON.stringify(input)}`;
}

/** Whether a value is only known after the deployment. */
function isUnknown(value: unknown): boolean {
  return value === UNKNOWN;
}

/**
 * Picks a resource's own fields, each checked and with its default filled in. Values not known yet pass.
 *
 * @returns the inputs, and one failure per fault, naming the property down to the element
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
    // Pulumi cannot carry undefined.
    if (input !== undefined) inputs[name] = input;
    for (const issue of parsed.error?.issues ?? []) {
      if (isUnknown(valueAt(value, issue.path))) continue;
      failures.push({ property: [name, ...issue.path].join("."), reason: issue.message });
    }
  }
  return { inputs, failures };
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown> | undefined)?.[key], value);
}

/** Whether two values mean the same to RunPod: its lists are sets, and the order of an environment is nothing. */
function same(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(comparable(a), comparable(b));
}

function comparable(value: unknown): unknown {
  return Array.isArray(value) ? [...new Set(value)].sort() : value;
}

/** Whether a field differs, as RunPod understands it. */
export function changed(before: Properties, after: Properties, name: string): boolean {
  return !same(before[name], after[name]);
}

/** Whether a value, and all that is in it, is known already. */
export function isKnown(value: unknown): boolean {
  return typeof value === "object" && value !== null ? Object.values(value).every(isKnown) : !isUnknown(value);
}

/**
 * Compares a resource's own fields, as RunPod understands them.
 *
 * @param replaceOn the fields that RunPod cannot change; default none
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

/** What RunPod has, written the way it was declared wherever both mean the same, so that only real drift shows. */
export function asDeclared(declared: Properties, actual: Properties): Properties {
  return Object.fromEntries(
    Object.entries(actual)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, same(declared[name], value) ? declared[name] : value]),
  );
}
