import { readFileSync } from "node:fs";
import { parse } from "yaml";

/** A stack's configuration the way Pulumi hands it to a program: every value as text, objects as JSON. */
export interface StackConfig {
  values: Record<string, string>;
  /** Keys whose values are secrets. */
  secretKeys: string[];
}

const PROJECT = "snack-misaki";

/**
 * Reads `Pulumi.<stack>.yaml` of the folder and lays overrides over it.
 *
 * @param overrides by path, as on the command line: `phi3.imageTag`, or `aws:region` with a namespace
 * @throws Error that names the file or the override at fault
 */
export function readStackConfig(
  programDir: string,
  stack: string,
  overrides: Record<string, unknown> = {},
): StackConfig {
  const file = `${programDir}/Pulumi.${stack}.yaml`;
  const config = (parse(readFileSync(file, "utf8")) as { config?: Record<string, unknown> }).config ?? {};
  for (const [path, value] of Object.entries(overrides)) override(config, path, value);
  return {
    values: Object.fromEntries(Object.entries(config).map(([key, value]) => [key, text(value)])),
    secretKeys: Object.keys(config).filter((key) => key.endsWith("Key")),
  };
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

function override(config: Record<string, unknown>, path: string, value: unknown): void {
  const [first = "", ...rest] = path.split(".");
  const key = first.includes(":") ? first : `${PROJECT}:${first}`;
  const last = rest.pop();
  if (last === undefined) {
    config[key] = value;
    return;
  }
  let parent: unknown = config[key] ?? {};
  config[key] = parent;
  for (const step of rest) parent = child(parent, step, path);
  if (typeof parent !== "object" || parent === null) throw new Error(`--config ${path}: ${key} is not an object`);
  (parent as Record<string, unknown>)[last] = value;
}

function child(parent: unknown, step: string, path: string): unknown {
  if (typeof parent !== "object" || parent === null) throw new Error(`--config ${path}: ${step} is not in an object`);
  const object = parent as Record<string, unknown>;
  object[step] ??= {};
  return object[step];
}

function text(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
