import * as z from "zod";
import { isSecureUrl } from "./secureUrl";

/** Reads a value of the stack's configuration by its key, as the text that Pulumi stores. */
type GetValue = (key: string) => string | undefined;

/** The parsed configuration, or one error line per bad value. */
type Parsed<T> = { config: T; problems?: never } | { config?: never; problems: string[] };

/** Schema of a URL that is safe for secrets: https, or http on localhost. */
export const secureUrl = z.string().refine(isSecureUrl, "must be an https URL; http is allowed only on localhost");

/** Schema of a duration in milliseconds. */
export function milliseconds(min: 0 | 1) {
  const allowed = `must be a whole number of milliseconds, at least ${min}`;
  return z.int(allowed).min(min, allowed);
}

/**
 * Parses the keys of one schema. Ignores every other key. The schema must not contain a secret key, because an error
 * line quotes the bad value.
 *
 * @returns the configuration, or one line per bad value: the key, the allowed values and the bad value
 */
export function parseConfig<S extends z.ZodObject>(schema: S, get: GetValue): Parsed<z.infer<S>> {
  const entries = Object.keys(schema.shape).flatMap((key) => {
    const text = get(key);
    return text === undefined ? [] : [[key, parseValue(text)]];
  });
  const values: unknown = Object.fromEntries(entries);
  const { data, error } = schema.safeParse(values, { error: allowedValues });
  return error ? { problems: error.issues.map((issue) => explain(issue, values)) } : { config: data };
}

/**
 * Error in the configuration of a provider. It has no stack trace, because Pulumi would print the frames of the
 * minified bundle beside the message.
 */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError";

  /** @param problems one line per bad key */
  constructor(problems: string[]) {
    super(problems.join("\n"));
    this.stack = "";
  }
}

/** Error line for a required secret that is not set. */
export function missingSecret(key: string): string {
  return `${key}: is missing; set it with: pulumi config set --secret ${key}`;
}

/** Parses a stored value. Pulumi stores every value as text. Numbers, booleans, lists and objects are JSON. */
function parseValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function explain({ code, path, message }: z.core.$ZodIssue, values: unknown): string {
  // The message does not quote the object that contains the unknown key. A misplaced secret may be in this object.
  if (code === "unrecognized_keys") return `${path.join(".")}: ${message}`;
  const value = path.reduce(
    (inner: unknown, step) => (inner as Record<PropertyKey, unknown> | undefined)?.[step],
    values,
  );
  return `${path.join(".")}: ${message}${value === undefined ? "" : `, got ${JSON.stringify(value)}`}`;
}

const types: Record<string, string> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
};

/** Error text for a schema without its own error text. */
function allowedValues(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case "invalid_type":
      return `${issue.input === undefined ? "is missing: " : ""}must be ${types[issue.expected] ?? issue.expected}`;
    case "invalid_value":
      return `must be ${issue.values.join(" or ")}`;
    case "too_small":
      if (issue.origin === "array") return `must have at least ${issue.minimum} entries`;
      return `must be ${issue.inclusive === false ? "more than" : "at least"} ${issue.minimum}`;
    case "too_big":
      if (issue.origin === "array") return `must have at most ${issue.maximum} entries`;
      return `must be at most ${issue.maximum}`;
    case "unrecognized_keys":
      return `must not have ${issue.keys.join(", ")}`;
    default:
      return undefined;
  }
}
