import type { z } from "zod";
import { INVALID_INTEGER } from "./kinds";
import { invalid, type StripeProblem } from "./problem";

/** A parameter as it came: text, a list or an object of them. */
export type Param = string | Param[] | { [key: string]: Param };

/**
 * Reads form-encoded parameters with brackets: `items[0][price]=…`, `expand[]=…`, `metadata[user_id]=…`.
 *
 * @param text a body or a query, without the question mark
 */
export function parseForm(text: string): Record<string, Param> {
  const root: { [key: string]: Param } = {};
  for (const [name, value] of new URLSearchParams(text)) {
    const path = [name.split("[")[0] ?? name, ...[...name.matchAll(/\[([^\]]*)\]/g)].map(([, key = ""]) => key)];
    put(root, path, value);
  }
  return tidy(root) as Record<string, Param>;
}

function put(target: { [key: string]: Param }, [key = "", ...rest]: string[], value: string): void {
  const name = key === "" ? String(Object.keys(target).length) : key;
  if (rest.length === 0) {
    target[name] = value;
    return;
  }
  const inner = target[name];
  const next = typeof inner === "object" && !Array.isArray(inner) ? inner : {};
  target[name] = next;
  put(next, rest, value);
}

/** Objects whose keys are 0, 1, 2 … are lists. */
function tidy(param: Param): Param {
  if (typeof param !== "object" || Array.isArray(param)) return param;
  const entries = Object.entries(param).map(([key, value]) => [key, tidy(value)] as const);
  const isList = entries.length > 0 && entries.every(([key], index) => key === String(index));
  return isList ? entries.map(([, value]) => value) : Object.fromEntries(entries);
}

/** Checks parameters. Throws StripeProblem that names the first one at fault, as Stripe does. */
export function check<S extends z.ZodType>(schema: S, params: unknown): z.output<S> {
  const parsed = schema.safeParse(params);
  if (parsed.success) return parsed.data;
  throw explain(parsed.error.issues[0], params);
}

function explain(issue: z.core.$ZodIssue | undefined, params: unknown): StripeProblem {
  const path = issue?.path.map(String) ?? [];
  const name = (keys: string[]) => keys.map((key, index) => (index === 0 ? key : `[${key}]`)).join("");
  if (issue?.code === "unrecognized_keys") {
    const param = name([...path, issue.keys[0] ?? ""]);
    return invalid(`Received unknown parameter: ${param}`, param, "parameter_unknown");
  }
  const value = path.reduce<unknown>((inner, key) => (inner as Record<string, unknown> | undefined)?.[key], params);
  const param = name(path);
  if (value === undefined) return invalid(`Missing required param: ${param}.`, param, "parameter_missing");
  if (value === "")
    return invalid(
      `You passed an empty string for '${param}'. We assume empty values are an attempt to unset a parameter; however '${param}' cannot be unset.`,
      param,
      "parameter_invalid_empty",
    );
  if (issue?.code === "invalid_value") {
    const allowed = issue.values.map(String).join(", ");
    return invalid(`Invalid ${param}: must be one of ${allowed}`, param);
  }
  if (issue?.message === INVALID_INTEGER)
    return invalid(`${INVALID_INTEGER}: ${String(value)}`, param, "parameter_invalid_integer");
  if (issue?.code === "custom" || issue?.code === "invalid_format") return invalid(issue.message, param);
  return invalid(`Invalid ${issue?.code === "invalid_type" ? issue.expected : "value"}: ${param}`, param);
}
