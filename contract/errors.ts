/**
 * Registry of error codes. TypeScript imports this file. The Python worker reads `errors.json`, which `npm run
 * contract:generate` writes from this file. A code is never renamed or reused.
 *
 * An error is sent as `{error: {code, message, retryable}}` with the HTTP status of its code. The message is safe to
 * show to customers: it names the wrong field and the allowed values, and contains no internals.
 */
export const errorCodes = {
  invalid_input: { status: 400, retryable: false, message: "The request is not valid." },
  too_long: { status: 413, retryable: false, message: "The text is too long." },
  unauthorized: { status: 401, retryable: false, message: "Sign in to continue." },
  wrong_token: { status: 401, retryable: false, message: "The ID token is required." },
  ticket_missing: { status: 401, retryable: false, message: "A ticket is required. Ask for a session first." },
  ticket_invalid: { status: 401, retryable: false, message: "The ticket is not valid. Ask for a new session." },
  ticket_expired: { status: 401, retryable: true, message: "The ticket has expired. Ask for a new session." },
  ticket_wrong_model: { status: 403, retryable: false, message: "The ticket is for another model." },
  already_subscribed: {
    status: 409,
    retryable: false,
    message: "There is a subscription already. Change it in the customer portal.",
  },
  nothing_bought: {
    status: 409,
    retryable: false,
    message: "Nothing has been bought yet, so there is nothing to manage.",
  },
  checkout_refused: { status: 403, retryable: false, message: "This account cannot buy a plan. Please contact us." },
  signature_invalid: { status: 400, retryable: false, message: "The signature is not valid." },
  not_found: { status: 404, retryable: false, message: "There is no such address." },
  conflict: { status: 409, retryable: false, message: "A chat with this id is running." },
  cancelled: { status: 409, retryable: false, message: "The chat was cancelled." },
  rate_limited: { status: 429, retryable: true, message: "Too many requests. Wait a little and try again." },
  overloaded: { status: 503, retryable: true, message: "Too busy at the moment. Try again." },
  unavailable: { status: 503, retryable: true, message: "Not available at the moment. Try again." },
  timeout: { status: 504, retryable: true, message: "No answer in time. Try again." },
  internal: { status: 500, retryable: true, message: "Something went wrong on our side. Try again." },
} as const satisfies Record<string, { status: number; retryable: boolean; message: string }>;

/** Error code from the registry. */
export type ErrorCode = keyof typeof errorCodes;

/** JSON body of an error. */
export interface ErrorBody {
  error: { code: ErrorCode; message: string; retryable: boolean };
}

/**
 * The only error whose text may reach a client. A `message` replaces the registry's text with a more exact text.
 * `cause` is the internal reason. The functions only log it.
 */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string = errorCodes[code].message, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** HTTP status of the code. */
  get status(): number {
    return errorCodes[this.code].status;
  }

  /** JSON body of the error. */
  get body(): ErrorBody {
    return { error: { code: this.code, message: this.message, retryable: errorCodes[this.code].retryable } };
  }
}

/** The error `rate_limited`, with the seconds until the next use is allowed (`Retry-After`). */
export class RateLimited extends ApiError {
  constructor(readonly retryAfterSeconds: number) {
    super("rate_limited");
  }
}
