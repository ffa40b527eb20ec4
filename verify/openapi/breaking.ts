import type { OpenApi } from "../../contract/openapi/document";

/** JSON Schema. The type contains only the keywords that the document uses. */
interface Schema {
  $ref?: string;
  anyOf?: Schema[];
  oneOf?: Schema[];
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  items?: Schema;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
}

type Content = Record<string, { schema: Schema }>;

interface Described {
  parameters?: { name: string; required?: boolean }[];
  requestBody?: { required?: boolean; content: Content };
  responses: Record<string, { $ref?: string; content?: Content }>;
}

/**
 * Finds changes of the document that break an old client, which was written for the document `before`. Such a change
 * removes an operation, changes an answer so that an old client does not understand it, or refuses a request of an old
 * client. New fields and new enum values in answers are allowed.
 *
 * @returns one line for each change
 */
export function breakingChanges(before: OpenApi, after: OpenApi): string[] {
  const errorOf = (document: OpenApi): Place => ({ schema: document.components.schemas.Error as Schema, document });
  const errors = differences(errorOf(before), errorOf(after), "answer");
  const operations = Object.entries(before.paths).flatMap(([path, item]) =>
    (["get", "post"] as const).flatMap((method) => {
      const old = item[method] as Described | undefined;
      const current = after.paths[path]?.[method] as Described | undefined;
      if (!old) return [];
      const place = `${method.toUpperCase()} ${path}`;
      if (!current) return [`${place}: is removed`];
      return [...requestChanges(old, current, before, after), ...answerChanges(old, current, before, after)].map(
        (change) => `${place}: ${change}`,
      );
    }),
  );
  return [...errors.map((change) => `Error: ${change}`), ...operations];
}

function requestChanges(old: Described, current: Described, before: OpenApi, after: OpenApi): string[] {
  const optional = (old.parameters ?? []).filter(({ required }) => !required).map(({ name }) => name);
  const known = (old.parameters ?? []).map(({ name }) => name);
  const parameters = (current.parameters ?? [])
    .filter(({ name, required }) => required && (!known.includes(name) || optional.includes(name)))
    .map(({ name }) => `requires the parameter ${name}`);
  const body = current.requestBody?.required && !old.requestBody?.required ? ["requires a body"] : [];
  const contents = Object.entries(old.requestBody?.content ?? {}).flatMap(([type, { schema }]) => {
    const now = current.requestBody?.content[type];
    if (!now) return [`accepts no body of the type ${type}`];
    return differences({ schema: now.schema, document: after }, { schema, document: before }, "request");
  });
  return [...parameters, ...body, ...contents];
}

function answerChanges(old: Described, current: Described, before: OpenApi, after: OpenApi): string[] {
  return Object.entries(old.responses).flatMap(([status, answer]) => {
    const now = current.responses[status];
    // All errors have one schema.
    if (!status.startsWith("2")) return [];
    if (!now) return [`no longer answers ${status}`];
    const content = contentOf(now, after);
    return Object.entries(contentOf(answer, before)).flatMap(([type, { schema }]) => {
      const media = content[type];
      if (!media) return [`${status}: no longer answers ${type}`];
      const found = differences({ schema, document: before }, { schema: media.schema, document: after }, "answer");
      return found.map((difference) => `${status}: ${difference}`);
    });
  });
}

function contentOf(answer: Described["responses"][string], { components }: OpenApi): Content {
  const name = answer.$ref?.split("/").at(-1);
  const found = name === undefined ? answer : components.responses[name];
  return (found?.content ?? {}) as Content;
}

interface Place {
  schema: Schema;
  document: OpenApi;
}

/**
 * Lists the reasons why a value of the narrow schema is not valid in the wide schema. The receiver has the wide schema:
 * the client for an answer, the server for a request.
 */
function differences(wide: Place, narrow: Place, kind: "answer" | "request", at = "body"): string[] {
  const [expected, actual] = [resolve(wide), resolve(narrow)];
  const inner = (schema: Schema | undefined, other: Schema | undefined, where: string) =>
    schema && other ? differences({ ...wide, schema }, { ...narrow, schema: other }, kind, where) : ([] as string[]);
  const [choices, alternatives] = [choicesOf(expected), choicesOf(actual)];
  if (choices || alternatives) {
    const pairs = {
      answer: [choices ?? [expected], alternatives ?? [actual]],
      request: [alternatives ?? [actual], choices ?? [expected]],
    };
    const [kept = [], offered = []] = pairs[kind];
    // Answers and requests may gain alternatives. Each known alternative must still match one of the offered
    // alternatives.
    return kept.flatMap((known) => {
      const tried = offered.map((one) => (kind === "answer" ? inner(known, one, at) : inner(one, known, at)));
      return tried.toSorted((a, b) => a.length - b.length)[0] ?? [];
    });
  }
  const unknown = typesOf(actual).filter((type) => !allowsType(expected, type));
  if (unknown.length > 0) return [`${at} is ${unknown.join(", ")} instead of ${typesOf(expected).join(", ")}`];
  return [
    ...(kind === "request" ? limitChanges(expected, actual, at) : []),
    ...fieldChanges(expected, actual, at),
    ...Object.entries(expected.properties ?? {}).flatMap(([name, schema]) =>
      inner(schema, actual.properties?.[name], `${at}.${name}`),
    ),
    ...inner(expected.items, actual.items, `${at}[]`),
  ];
}

function resolve({ schema, document }: Place): Schema {
  const name = schema.$ref?.split("/").at(-1);
  return name === undefined ? schema : ((document.components.schemas[name] ?? {}) as Schema);
}

function choicesOf({ anyOf, oneOf }: Schema): Schema[] | undefined {
  return anyOf ?? oneOf;
}

function typesOf({ type = [] }: Schema): string[] {
  return [type].flat();
}

function allowsType(schema: Schema, type: string): boolean {
  const types = typesOf(schema);
  return types.length === 0 || types.includes(type) || (type === "integer" && types.includes("number"));
}

function fieldChanges(expected: Schema, actual: Schema, at: string): string[] {
  const certain = new Set(actual.required);
  const missing = (expected.required ?? []).filter((name) => !certain.has(name));
  const isClosed = expected.additionalProperties === false;
  const unknown = isClosed ? Object.keys(actual.properties ?? {}).filter((name) => !expected.properties?.[name]) : [];
  return [
    ...missing.map((name) => `${at}.${name} may be missing`),
    ...unknown.map((name) => `${at}.${name} is refused`),
  ];
}

const upperLimits = ["maximum", "maxLength", "maxItems"] as const;
const lowerLimits = ["minimum", "minLength", "minItems"] as const;

/** Limits of requests that became tighter, and values that are no longer allowed. */
function limitChanges(expected: Schema, actual: Schema, at: string): string[] {
  const tighter = [
    ...upperLimits.filter((name) => (expected[name] ?? Infinity) < (actual[name] ?? Infinity)),
    ...lowerLimits.filter((name) => (expected[name] ?? -Infinity) > (actual[name] ?? -Infinity)),
    ...(expected.pattern !== undefined && expected.pattern !== actual.pattern ? ["pattern"] : []),
  ];
  const allowed = valuesOf(expected);
  const refused = allowed ? (valuesOf(actual) ?? ["any value"]).filter((value) => !allowed.includes(value)) : [];
  return [
    ...tighter.map((name) => `${at} has a stricter ${name}`),
    ...refused.map((value) => `${at} refuses ${String(value)}`),
  ];
}

function valuesOf(schema: Schema): unknown[] | undefined {
  return "const" in schema ? [schema.const] : schema.enum;
}
