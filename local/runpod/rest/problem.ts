import { STATUS_CODES } from "node:http";
import type { z } from "zod";
import { AccountError, type Refusal } from "../account/rules";

/** Refused call of REST v2. The response has the type `application/problem+json`. */
export class RestProblem extends Error {
  override readonly name = "RestProblem";

  /**
   * @param errors texts of the errors in the body
   */
  constructor(
    readonly status: number,
    detail: string,
    readonly errors: string[] = [],
  ) {
    super(detail);
  }
}

const statusOf: Record<Refusal, number> = { rule: 400, missing: 404, taken: 409, image: 422, kind: 422 };

/** Converts an AccountError to a RestProblem. Rethrows any error of another class. */
export function problemOf(error: unknown): RestProblem {
  if (error instanceof RestProblem) return error;
  if (error instanceof AccountError) return new RestProblem(statusOf[error.refusal], error.message);
  throw error;
}

/** HTTP response for a problem. */
export function problemResponse({ status, message, errors }: RestProblem, headers: Record<string, string> = {}) {
  const title = STATUS_CODES[status] ?? "Error";
  const body = { title, status, detail: message, ...(errors.length > 0 && { errors }) };
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/problem+json", ...headers },
  });
}

/**
 * Error for a body that does not match its schema, with the error text of RunPod's validator (`$: additional properties
 * 'x' …`).
 */
export function invalidBody(issues: readonly z.core.$ZodIssue[]): RestProblem {
  return new RestProblem(422, "Request validation failed.", issues.map(describe));
}

function describe(issue: z.core.$ZodIssue): string {
  if (issue.code === "unrecognized_keys")
    return `${place(issue.path)}: additional properties ${quoted(issue.keys)} not allowed`;
  const isMissing = issue.code === "invalid_type" || issue.code === "invalid_value" || issue.code === "invalid_union";
  if (isMissing && issue.input === undefined && issue.path.length > 0)
    return `${place(issue.path.slice(0, -1))}: missing property ${quoted(issue.path.slice(-1))}`;
  if (issue.code === "invalid_value") return `${place(issue.path)}: value must be one of ${quoted(issue.values)}`;
  return `${place(issue.path)}: ${issue.message}`;
}

function place(path: readonly PropertyKey[]): string {
  return ["$", ...path.map(String)].join(".");
}

function quoted(names: readonly unknown[]): string {
  return names.map((name) => `'${String(name)}'`).join(", ");
}
