/**
 * Every error code of the product, and whether the same request may succeed later. A copy of `contract/errors.ts`,
 * because this package has no dependencies. A test compares both files.
 */
export const retryableByCode = {
  invalid_input: false,
  too_long: false,
  unauthorized: false,
  wrong_token: false,
  ticket_missing: false,
  ticket_invalid: false,
  ticket_expired: true,
  ticket_wrong_model: false,
  already_subscribed: false,
  nothing_bought: false,
  checkout_refused: false,
  signature_invalid: false,
  not_found: false,
  conflict: false,
  cancelled: false,
  rate_limited: true,
  overloaded: true,
  unavailable: true,
  timeout: true,
  internal: true,
} as const satisfies Record<string, boolean>;

/** Error code of the product. */
export type ProblemCode = keyof typeof retryableByCode;

/** The only error that this client throws, except the reason of an aborted signal. */
export class ApiProblem extends Error {
  override readonly name = "ApiProblem";
  readonly code: ProblemCode;
  /** Whether the same request may succeed later. */
  readonly retryable: boolean;
  /** Time after which a retry may succeed, when the server has sent `Retry-After`. */
  readonly retryAfterMs: number | undefined;
  /** The part of the reply that arrived before a chat failed. `chat` sets this field. */
  partialText: string | undefined;

  /** @param message English text that is safe to show. A translated page shows a translation for the `code` instead. */
  constructor(code: ProblemCode, message: string, options: ProblemOptions = {}) {
    super(message, options);
    this.code = code;
    this.retryable = options.retryable ?? retryableByCode[code];
    this.retryAfterMs = options.retryAfterMs;
    this.partialText = options.partialText;
  }
}

/** Facts of an `ApiProblem` besides code and message. */
export interface ProblemOptions extends ErrorOptions {
  /** Default: the code's value in `retryableByCode`. */
  retryable?: boolean | undefined;
  retryAfterMs?: number | undefined;
  partialText?: string | undefined;
}

/**
 * Reads a body `{error: {code, message, retryable}}`. Returns undefined for any other body and for unknown codes.
 *
 * @param options facts that are not in the body
 */
export function problemFromBody(body: unknown, options: ProblemOptions = {}): ApiProblem | undefined {
  const error = field(body, "error");
  const code = textField(error, "code");
  const message = textField(error, "message");
  if (!isProblemCode(code) || message === undefined) return undefined;
  const retryable = field(error, "retryable");
  return new ApiProblem(code, message, { ...options, ...(typeof retryable === "boolean" && { retryable }) });
}

function isProblemCode(code: string | undefined): code is ProblemCode {
  return Object.hasOwn(retryableByCode, code ?? "");
}

/** HTTP error response, as `send` returns it. */
interface FailedResponse {
  status: number;
  body: unknown;
  retryAfterMs?: number | undefined;
}

/**
 * Converts an HTTP error response to an `ApiProblem`. Some bodies do not contain the product's error, such as API
 * Gateway's `{"message": "Unauthorized"}`, a function URL's `{"Message": "Forbidden"}` or an HTML page of a proxy. The
 * code is then derived from the HTTP status.
 *
 * @param request names the request in the message, such as `POST /auth/session`
 */
export function problemFromResponse(request: string, { status, body, retryAfterMs }: FailedResponse): ApiProblem {
  const problem = problemFromBody(body, { retryAfterMs });
  if (problem) return problem;
  const detail = textField(body, "message") ?? textField(body, "Message") ?? textField(body, "detail");
  const message = `${request} answered ${status}${detail === undefined ? "." : `: ${detail}`}`;
  // A retry does not help when the resource does not exist.
  return new ApiProblem(codeOfStatus(status), message, { retryAfterMs, ...(status === 404 && { retryable: false }) });
}

function codeOfStatus(status: number): ProblemCode {
  if (status === 401 || status === 403) return "unauthorized";
  if (status === 413) return "too_long";
  if (status === 429) return "rate_limited";
  // 524 is Cloudflare's timeout. RunPod's edge returns it during a cold start.
  if (status === 504 || status === 524 || status === 408) return "timeout";
  if (status === 404 || status === 502 || status === 503) return "unavailable";
  return status >= 500 ? "internal" : "invalid_input";
}

/**
 * Converts a job that ended without a result to an `ApiProblem`. RunPod sends its `error` as a string: JSON text of
 * `{error: {…}}` when the worker wrote it, otherwise RunPod's own message.
 */
export function problemFromJob(job: unknown): ApiProblem {
  const status = field(job, "status");
  const error = field(job, "error");
  const text = String(error);
  const problem = problemFromBody(parseJson(text) ?? error);
  if (problem) return problem;
  // RunPod can also report a job that exceeded its time limit as FAILED. Only the error's text shows the reason.
  if (status === "TIMED_OUT" || /executionTimeout|timed out/i.test(text)) {
    return new ApiProblem("timeout", "The model did not answer in time.");
  }
  if (status === "CANCELLED") return new ApiProblem("unavailable", "The reply was stopped.");
  return new ApiProblem("internal", "The model could not answer.");
}

/** Parses JSON text. Returns undefined for any other text. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Reads text field `name` of an untrusted value. Returns undefined for any other value. */
export function textField(value: unknown, name: string): string | undefined {
  const text = field(value, name);
  return typeof text === "string" ? text : undefined;
}

/** Reads field `name` of an untrusted value. Returns undefined when the value has no such field. */
export function field(value: unknown, name: string): unknown {
  return (value as Record<string, unknown> | null | undefined)?.[name];
}
