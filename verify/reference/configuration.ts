import * as z from "zod";
import { models } from "../../contract/plan";
import { ConfigSchema, secretKeys } from "../../infra/configSchema";

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

/** Renders `docs/reference/configuration.md` from the schema of the stack's configuration. */
export function configurationPage(): string {
  const schema = z.toJSONSchema(ConfigSchema, { io: "input", unrepresentable: "any" }) as Schema;
  const required = new Set(schema.required);
  const rows = Object.entries(schema.properties ?? {}).flatMap(([key, value]) => rowsOf(key, value, required.has(key)));
  const secrets = Object.entries(secretKeys).map(([key, meaning]) => [code(key), meaning]);
  return `# Configuration

Keys of \`Pulumi.<stack>.yaml\`, without the prefix \`snack-misaki:\`. \`Pulumi.dev.yaml\` is a complete example. A wrong key or
value fails \`pulumi preview\` with the key, the value and the allowed values.

The AWS provider has its own keys. The program requires \`aws:region\`, and \`aws:defaultTags\` with the tags \`project\` and
\`stack\`. The name of a stack has at most 18 letters, digits, \`-\` or \`_\`.

\`<model>\` is the name of any model in \`contract/plan.ts\`.

${table(["key", "allowed", "default", "meaning"], forAnyModel(rows))}

## Secrets

Set each with \`pulumi config set --secret <key>\`.

${table(["key", "meaning"], forAnyModel(secrets))}
`;
}

/** Keeps only the rows of the first model and writes `<model>` in place of its name. */
function forAnyModel(rows: string[][]): string[][] {
  const isOf = (model: string, [key = ""]: string[]) =>
    new RegExp(`(\\b|\\.)${model}(BrowserKey|HuggingfaceToken|\\b)`).test(key);
  const [first = "", ...others] = models;
  return rows
    .filter((row) => !others.some((model) => isOf(model, row)))
    .map((row) => (isOf(first, row) ? row.map((cell) => cell.replaceAll(first, "<model>")) : row));
}

/** Returns one row per value. An object also gets a row for each of its properties. */
function rowsOf(path: string, schema: Schema, isRequired: boolean): string[][] {
  const own = [code(path), allowed(schema), defaultOf(schema, isRequired), schema.description ?? ""];
  const variants = schema.oneOf ?? (schema.anyOf?.some(({ properties }) => properties) ? schema.anyOf : undefined);
  if (variants) {
    const rows = variants.flatMap(({ properties: { kind, ...rest } = {}, description = "", required = [] }) => [
      [code(`${path}.kind: ${kind?.const}`), "", "", description],
      ...Object.entries(rest).flatMap(([key, value]) => rowsOf(`${path}.${key}`, value, required.includes(key))),
    ]);
    return [own, ...rows];
  }
  if (!schema.properties) return [own];
  const required = new Set(schema.required);
  const defaults = (schema.default ?? {}) as Record<string, unknown>;
  const children = Object.entries(schema.properties).map(([key, value]) => {
    const inherited = value.default === undefined && defaults[key] !== undefined ? { default: defaults[key] } : {};
    return rowsOf(`${path}.${key}`, { ...value, ...inherited }, required.has(key));
  });
  return [own, ...children.flat()];
}

function defaultOf(schema: Schema, isRequired: boolean): string {
  if (schema.default !== undefined && !schema.properties) return code(JSON.stringify(schema.default));
  return isRequired && !schema.properties ? "required" : "";
}

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

/** Renders a Markdown table. */
function table(head: string[], rows: string[][]): string {
  const line = (row: string[]) => `| ${row.map(escaped).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** Escapes the characters that Markdown would read as markup, except in code. */
function escaped(cell: string): string {
  return cell
    .split(/(`[^`]*`)/)
    .map((part) => (part.startsWith("`") ? part : part.replaceAll("<", "&lt;")))
    .join("")
    .replaceAll("|", "\\|");
}
