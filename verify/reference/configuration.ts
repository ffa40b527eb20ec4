import { models } from "../../contract/plan";
import { configKeys } from "../../infra/configKeys";
import { secretKeys } from "../../infra/configSchema";

/** Renders `docs/reference/configuration.md` from the schema of the stack's configuration. */
export function configurationPage(): string {
  const rows = configKeys().map(({ path, kind, allowed, isRequired, defaultValue, meaning }) => [
    code(kind === undefined ? path : `${path}.kind: ${kind}`),
    allowed,
    defaultValue === undefined ? (isRequired ? "required" : "") : code(JSON.stringify(defaultValue)),
    meaning,
  ]);
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
