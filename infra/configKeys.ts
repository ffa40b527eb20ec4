import * as z from "zod";
import { ConfigSchema } from "./configSchema";

/** The parts of a JSON Schema that the page shows. */
interface Schema {
  type?: string;
  description?: string;
  default?: unknown;
  const?: unknown;
  enum?: unknown[];
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
}

/** One key of the stack's configuration, as an operator reads about it. */
export interface ConfigKey {
  /** Path of the key without its namespace, such as `phi3.workersMax`. */
  path: string;
  /** Value of `kind` for which `meaning` is. Set only for an object with several kinds. */
  kind?: string;
  /** Allowed values, in Markdown. */
  allowed: string;
  /** Allowed values of an enumeration. */
  values?: unknown[];
  /** Whether the configuration must have the key. */
  isRequired: boolean;
  defaultValue?: unknown;
  /** Meaning in a sentence. */
  meaning: string;
}

/** Every key of the stack's configuration that is not a secret, in the order of the schema. */
export function configKeys(): ConfigKey[] {
  const schema = z.toJSONSchema(ConfigSchema, { io: "input", unrepresentable: "any" }) as Schema;
  const required = new Set(schema.required);
  return Object.entries(schema.properties ?? {}).flatMap(([key, value]) => keysOf(key, value, required.has(key)));
}

/** Returns one key per value. An object also gets the keys of its properties. */
function keysOf(path: string, schema: Schema, isRequired: boolean): ConfigKey[] {
  const { default: defaultValue, enum: values, description: meaning = "", properties } = schema;
  const own: ConfigKey = {
    path,
    allowed: allowed(schema),
    meaning,
    isRequired: isRequired && !properties,
    ...(defaultValue !== undefined && !properties && { defaultValue }),
    ...(values && { values }),
  };
  const variants = schema.oneOf ?? (schema.anyOf?.some(({ properties }) => properties) ? schema.anyOf : undefined);
  if (variants) {
    const keys = variants.flatMap(({ properties: { kind, ...rest } = {}, description = "", required = [] }) => [
      { path, kind: String(kind?.const), allowed: "", meaning: description, isRequired: false },
      ...Object.entries(rest).flatMap(([key, value]) => keysOf(`${path}.${key}`, value, required.includes(key))),
    ]);
    return [own, ...keys];
  }
  if (!schema.properties) return [own];
  const required = new Set(schema.required);
  const defaults = (schema.default ?? {}) as Record<string, unknown>;
  const children = Object.entries(schema.properties).map(([key, value]) => {
    const inherited = value.default === undefined && defaults[key] !== undefined ? { default: defaults[key] } : {};
    return keysOf(`${path}.${key}`, { ...value, ...inherited }, required.has(key));
  });
  return [own, ...children.flat()];
}

/** Describes the allowed values, in Markdown. */
function allowed({
  type,
  const: constant,
  enum: values,
  minimum,
  exclusiveMinimum,
  maximum,
  items,
  properties,
  anyOf,
  oneOf,
}: Schema): string {
  if (constant !== undefined) return code(String(constant));
  if (values) return values.map((value) => code(String(value))).join(", ");
  if (type === "array") return `list of ${items ? plural(allowed(items)) : "values"}`;
  if (properties) return "object";
  if (oneOf ?? anyOf) return (oneOf ?? anyOf)?.some(({ properties: object }) => object) ? "object" : "text";
  if (type === "integer" || type === "number") {
    const noun = type === "integer" ? "whole number" : "number";
    if (exclusiveMinimum !== undefined) return `${noun} above ${exclusiveMinimum}`;
    const isBound = (bound?: number) => bound !== undefined && Math.abs(bound) !== Number.MAX_SAFE_INTEGER;
    if (isBound(minimum) && isBound(maximum)) return `${noun}, ${minimum} to ${maximum}`;
    return isBound(minimum) ? `${noun}, at least ${minimum}` : noun;
  }
  return type === "boolean" ? "`true`, `false`" : "text";
}

function plural(noun: string): string {
  return noun === "text" ? "texts" : noun.replace("number", "numbers");
}

function code(text: string): string {
  return `\`${text}\``;
}
