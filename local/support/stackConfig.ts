import { existsSync, readdirSync, readFileSync } from "node:fs";
import { parse } from "yaml";
import { configKey } from "../../names";
import { isObject } from "./protocol/value";

/** A stack's configuration in the form that Pulumi passes to a program: every value as text, objects as JSON. */
export interface StackConfig {
  values: Record<string, string>;
  /** Keys whose values are secrets. */
  secretKeys: string[];
  /** Keys whose values are encrypted in the file. `values` does not contain them. */
  encryptedKeys: string[];
}

/**
 * Reads `Pulumi.<stack>.yaml` in `programDir` and applies the overrides.
 *
 * @param overrides values by path, as on the command line: `phi3.imageTag`, `mistral.candidate.testers[0]`, or
 *   `aws:region` with a namespace. Undefined removes the key
 * @throws Error that names the invalid file or override
 */
export function readStackConfig(
  programDir: string,
  stack: string,
  overrides: Record<string, unknown> = {},
): StackConfig {
  const file = `${programDir}/Pulumi.${stack}.yaml`;
  if (!existsSync(file)) {
    const stacks = stackFiles(programDir).join(", ");
    throw new Error(`${file} cannot be read: there is no such file. Stacks with a file: ${stacks}`);
  }
  const config = readConfig(file);
  for (const [path, value] of Object.entries(overrides)) override(config, path, value);
  const present = Object.entries(config).filter(([, value]) => value !== undefined);
  const plain = present.filter(([, value]) => !isEncrypted(value));
  return {
    values: Object.fromEntries(plain.map(([key, value]) => [key, toText(value)])),
    secretKeys: Object.keys(config).filter((key) => /(?:Key|Secret|Token|WebhookUrl)$/.test(key)),
    encryptedKeys: present.filter(([, value]) => isEncrypted(value)).map(([key]) => key),
  };
}

/** Names of the stacks that have a file in `programDir`. */
function stackFiles(programDir: string): string[] {
  return readdirSync(programDir)
    .flatMap((file) => /^Pulumi\.([\w-]+)\.yaml$/.exec(file)?.[1] ?? [])
    .toSorted();
}

/**
 * Reads the pattern of `pulumi:autonaming` in `Pulumi.yaml`.
 *
 * @throws Error when the file cannot be read
 */
export function readAutonaming(programDir: string): string | undefined {
  const project = readConfig(`${programDir}/Pulumi.yaml`) as Record<string, { value?: { pattern?: string } }>;
  return project["pulumi:autonaming"]?.value?.pattern;
}

function readConfig(file: string): Record<string, unknown> {
  const content = readYaml(file) ?? {};
  if (!isObject(content)) throw new Error(`${file} cannot be read: must be an object with the key config`);
  const config = content.config ?? {};
  if (!isObject(config)) throw new Error(`${file} cannot be read: config must be an object`);
  return config;
}

function readYaml(file: string): unknown {
  try {
    return parse(readFileSync(file, "utf8"));
  } catch (error) {
    // Only the first line: the next lines quote the file, which may contain a secret.
    const [reason = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
    throw new Error(`${file} cannot be read: ${reason.replace(/:$/, "")}`);
  }
}

/** Parses `key.path=value` arguments. Throws an Error that names an invalid argument. */
export function parseOverrides(args: string[]): Record<string, unknown> {
  return Object.fromEntries(
    args.map((arg) => {
      const at = arg.indexOf("=");
      if (at < 1) throw new Error(`--config ${arg}: must be <key>[.<path>]=<value>, such as phi3.imageTag=2026-12-01`);
      return [arg.slice(0, at), arg.slice(at + 1)];
    }),
  );
}

function override(config: Record<string, unknown>, path: string, value: unknown): void {
  const [first = "", ...rest] = path.split(/[.[\]]+/).filter((step) => step !== "");
  const key = first.includes(":") ? first : configKey(first);
  const last = rest.pop();
  if (last === undefined) {
    config[key] = value;
    return;
  }
  let parent: unknown = config[key] ?? {};
  config[key] = parent;
  for (const [index, step] of rest.entries()) parent = child(parent, step, rest[index + 1] ?? last, path);
  if (typeof parent !== "object" || parent === null) throw new Error(`--config ${path}: ${key} is not an object`);
  (parent as Record<string, unknown>)[last] = parseValue(value);
}

/** Inside an object, converts text to a number or a boolean, as `pulumi config set --path` does. */
function parseValue(value: unknown): unknown {
  if (value === "true" || value === "false") return value === "true";
  return typeof value === "string" && /^-?(?:0|[1-9]\d*)$/.test(value) ? Number(value) : value;
}

/** Returns the object or list at a step. Creates a missing one: a list when the next step is an index. */
function child(parent: unknown, step: string, next: string, path: string): unknown {
  if (typeof parent !== "object" || parent === null)
    throw new Error(`--config ${path}: ${step} cannot be set, because its parent is not an object`);
  const object = parent as Record<string, unknown>;
  object[step] ??= /^\d+$/.test(next) ? [] : {};
  return object[step];
}

function isEncrypted(value: unknown): boolean {
  return typeof value === "object" && value !== null && "secure" in value;
}

function toText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
