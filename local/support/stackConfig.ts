import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { configKey } from "../../names";

/** A stack's configuration the way Pulumi hands it to a program: every value as text, objects as JSON. */
export interface StackConfig {
  values: Record<string, string>;
  /** Keys whose values are secrets. */
  secretKeys: string[];
  /** Keys that are set but not among the values: the file has them encrypted. */
  encryptedKeys: string[];
}

/**
 * Reads `Pulumi.<stack>.yaml` of the folder and lays overrides over it.
 *
 * @param overrides by path, as on the command line: `phi3.imageTag`, or `aws:region` with a namespace; undefined takes a
 * key away
 * @throws Error that names the file or the override at fault
 */
export function readStackConfig(
  programDir: string,
  stack: string,
  overrides: Record<string, unknown> = {},
): StackConfig {
  const file = `${programDir}/Pulumi.${stack}.yaml`;
  const config = readConfig(file);
  for (const [path, value] of Object.entries(overrides)) override(config, path, value);
  const given = Object.entries(config).filter(([, value]) => value !== undefined);
  const plain = given.filter(([, value]) => !isEncrypted(value));
  return {
    values: Object.fromEntries(plain.map(([key, value]) => [key, text(value)])),
    secretKeys: Object.keys(config).filter((key) => /(?:Key|Secret)$/.test(key)),
    encryptedKeys: given.filter(([, value]) => isEncrypted(value)).map(([key]) => key),
  };
}

function readConfig(file: string): Record<string, unknown> {
  try {
    return (parse(readFileSync(file, "utf8")) as { config?: Record<string, unknown> } | null)?.config ?? {};
  } catch (cause) {
    throw new Error(`${file} cannot be read: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}

/** Parses `key.path=value` arguments. Throws an Error that names a bad one. */
export function parseOverrides(args: string[]): Record<string, unknown> {
  return Object.fromEntries(
    args.map((arg) => {
      const at = arg.indexOf("=");
      if (at < 1) throw new Error(`--config ${arg}: must be <key>[.<path>]=<value>, such as phi3.imageTag=2026-12-01`);
      return [arg.slice(0, at), arg.slice(at + 1)];
    }),
  );
}

/** What a stack's configuration names by its port, so that it must be known before anything listens there. */
export type LocalPort = "page" | "runpod" | "domain" | "stripe";

/**
 * Where the local cloud listens, as the stack's configuration says.
 *
 * @throws Error that names the key and what is allowed
 */
export function localUrls({ values }: StackConfig): Record<LocalPort, string> {
  const field = (key: string): unknown => JSON.parse(values[configKey(key)] ?? "{}");
  const [page] = (field("frontend") as { origins?: string[] }).origins ?? [];
  return {
    page: localUrl("frontend.origins.0", page),
    runpod: localUrl("runpodApiUrl", values[configKey("runpodApiUrl")]),
    domain: localUrl("auth.domainUrl", (field("auth") as { domainUrl?: string }).domainUrl),
    stripe: localUrl("stripeApiUrl", values[configKey("stripeApiUrl")]),
  };
}

function localUrl(key: string, url: string | undefined): string {
  if (url && /^http:\/\/localhost:\d+$/.test(url)) return url;
  throw new Error(`Pulumi.local.yaml: ${configKey(key)}: must be http://localhost:<port>, not ${url ?? "absent"}`);
}

function override(config: Record<string, unknown>, path: string, value: unknown): void {
  const [first = "", ...rest] = path.split(".");
  const key = first.includes(":") ? first : configKey(first);
  const last = rest.pop();
  if (last === undefined) {
    config[key] = value;
    return;
  }
  let parent: unknown = config[key] ?? {};
  config[key] = parent;
  for (const step of rest) parent = child(parent, step, path);
  if (typeof parent !== "object" || parent === null) throw new Error(`--config ${path}: ${key} is not an object`);
  (parent as Record<string, unknown>)[last] = typed(value);
}

/** Inside an object `pulumi config set --path` keeps numbers and booleans as what they are. */
function typed(value: unknown): unknown {
  if (value === "true" || value === "false") return value === "true";
  return typeof value === "string" && /^-?(?:0|[1-9]\d*)$/.test(value) ? Number(value) : value;
}

function child(parent: unknown, step: string, path: string): unknown {
  if (typeof parent !== "object" || parent === null) throw new Error(`--config ${path}: ${step} is not in an object`);
  const object = parent as Record<string, unknown>;
  object[step] ??= {};
  return object[step];
}

function isEncrypted(value: unknown): boolean {
  return typeof value === "object" && value !== null && "secure" in value;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
