import type * as z from "zod/mini";
import { ApiError } from "../../contract/errors";

type Issue = z.core.$ZodIssue;

/**
 * Converts the issues of a rejected body to one error that names the field and the allowed values. The error quotes no
 * value of the body. Like the Python worker, explains only the issue that is nearest to the root.
 *
 * @returns ApiError `too_long` for too many characters or items, otherwise `invalid_input`
 */
export function bodyError(issues: readonly Issue[]): ApiError {
  const [issue] = issues.toSorted((a, b) => a.path.length - b.path.length);
  const isTooLong = issue?.code === "too_big" && issue.origin !== "number" && issue.origin !== "int";
  return new ApiError(isTooLong ? "too_long" : "invalid_input", `${bodyPath(issue?.path ?? [])}: ${explain(issue)}`);
}

/** Path of a field in a request's body, such as `body.messages[3].content`. */
export function bodyPath(path: readonly PropertyKey[]): string {
  return `body${path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`)).join("")}`;
}

/** zod/mini has no message texts, so this function has a text for every kind of issue that can occur. */
function explain(issue: Issue | undefined): string {
  switch (issue?.code) {
    case "unrecognized_keys":
      return `unknown field ${issue.keys.join(", ").slice(0, 100)}`;
    case "invalid_type":
      return `must be ${issue.expected}`;
    case "invalid_value":
      return `must be one of ${issue.values.map(String).join(", ")}`;
    case "invalid_format":
      return `must match ${issue.pattern}`;
    case "too_big":
      if (issue.origin === "string") return `at most ${issue.maximum} characters are allowed`;
      if (issue.origin === "array") return `at most ${issue.maximum} items are allowed`;
      return `must be at most ${issue.maximum}`;
    case "too_small":
      if (issue.origin === "string" || issue.origin === "array") return "must not be empty";
      return `must be ${issue.inclusive ? "at least" : "more than"} ${issue.minimum}`;
    default:
      return "is not valid";
  }
}
