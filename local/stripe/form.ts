import qs from "qs";
import type { z } from "zod";
import { INVALID_INTEGER } from "./parameters";
import { invalid, type StripeProblem } from "./problem";

/** A parsed parameter: text, a list or an object of parameters. */
export type Param = string | Param[] | { [key: string]: Param };

/**
 * Parses form-encoded parameters with brackets: `items[0][price]=…`, `expand[]=…`, `metadata[user_id]=…`.
 *
 * @param text a body or a query, without the question mark
 */
export function parseForm(text: string): Record<string, Param> {
  const options = {
    // Allows names such as `constructor` as plain keys.
    plainObjects: true,
    duplicates: "last",
    depth: 10,
    arrayLimit: 1_000,
  } as const;
  return qs.parse(text, options) as Record<string, Param>;
}

/** Validates parameters. Throws a StripeProblem that names the first invalid parameter, as Stripe does. */
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
