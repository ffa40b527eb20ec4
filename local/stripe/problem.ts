/** An error answer with Stripe's own texts (https://docs.stripe.com/api/errors). */
export class StripeProblem extends Error {
  override readonly name = "StripeProblem";

  constructor(
    readonly status: number,
    readonly type: "invalid_request_error" | "api_error" | "card_error" | "idempotency_error",
    message: string,
    readonly details: { code?: string; param?: string; decline_code?: string } = {},
  ) {
    super(message);
  }
}

/** Error for an invalid parameter. */
export function invalid(message: string, param?: string, code?: string): StripeProblem {
  return new StripeProblem(400, "invalid_request_error", message, { ...(param && { param }), ...(code && { code }) });
}

/** Error for a missing object. */
export function missing(what: string, id: string, param = "id"): StripeProblem {
  return new StripeProblem(404, "invalid_request_error", `No such ${what}: '${id}'`, {
    code: "resource_missing",
    param,
  });
}

/** Error for a declined card. */
export function declined(code: string, message: string, declineCode?: string): StripeProblem {
  return new StripeProblem(402, "card_error", message, { code, ...(declineCode && { decline_code: declineCode }) });
}
