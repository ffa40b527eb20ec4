import { type ProblemCode, problemCodes } from "./types";

/** Codes after which the same request may succeed later. */
const retryableCodes: readonly ProblemCode[] = [
  "ticket_expired",
  "rate_limited",
  "overloaded",
  "unavailable",
  "timeout",
  "internal",
];

/** The only error this client throws, besides the reason of an aborted signal. */
export class ApiProblem extends Error {
  override readonly name = "ApiProblem";
  readonly code: ProblemCode;
  /** Whether the same request may succeed later. */
  readonly retryable: boolean;

  /** @param message safe to show, in English; show your own text by `code` where you have one */
  constructor(code: ProblemCode, message: string, options: ErrorOptions & { retryable?: boolean } = {}) {
    super(message, options);
    this.code = code;
    this.retryable = options.retryable ?? retryableCodes.includes(code);
  }
}

/** The problem in a body `{error: {code, message, retryable}}`, or undefined where it is not one. */
export function problemInBody(body: unknown): ApiProblem | undefined {
  const error = field(body, "error");
  const code = problemCodes.find((known) => known === field(error, "code"));
  const message = field(error, "message");
  if (code === undefined || typeof message !== "string") return undefined;
  const retryable = field(error, "retryable");
  return new ApiProblem(code, message, typeof retryable === "boolean" ? { retryable } : {});
}

/**
 * The problem of an HTTP answer that was not a success: the product's own body where there is one, otherwise the status
 * speaks, as for API Gateway's `{"message": "Unauthorized"}` or an edge's HTML page.
 *
 * @param what what was asked, such as `POST /auth/session`
 */
export function problemOfAnswer(what: string, status: number, body: unknown): ApiProblem {
  const own = problemInBody(body);
  if (own) return own;
  const said = field(body, "message") ?? field(body, "detail");
  const message = `${what} answered ${status}${typeof said === "string" ? `: ${said}` : "."}`;
  // What is not there now will not be there on a second try.
  return new ApiProblem(codeOfStatus(status), message, status === 404 ? { retryable: false } : {});
}

function codeOfStatus(status: number): ProblemCode {
  if (status === 401 || status === 403) return "unauthorized";
  if (status === 413) return "too_long";
  if (status === 429) return "rate_limited";
  // 524 is Cloudflare's timeout, seen in front of RunPod during a cold start.
  if (status === 504 || status === 524 || status === 408) return "timeout";
  if (status === 404 || status === 502 || status === 503) return "unavailable";
  return status >= 500 ? "internal" : "invalid_input";
}

/**
 * The problem of a job that ended without a result. RunPod carries a worker's error as a string: JSON text of
 * `{error: {…}}` when the worker wrote it, the platform's own words otherwise.
 */
export function problemOfJob(status: string, error: unknown): ApiProblem {
  const own = problemInBody(typeof error === "string" ? parsed(error) : error);
  if (own) return own;
  // RunPod reports a worker that took too long as FAILED too, in words.
  if (status === "TIMED_OUT" || (typeof error === "string" && /executionTimeout|timed out/i.test(error))) {
    return new ApiProblem("timeout", "The model did not answer in time. Try again.");
  }
  if (status === "CANCELLED") return new ApiProblem("unavailable", "The job was cancelled. Try again.");
  return new ApiProblem("internal", "The model could not answer. Try again.");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Field `name` of a value from outside, or undefined where the value is no object or has none. */
export function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
