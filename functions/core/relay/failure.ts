/**
 * Reasons why one request to a provider fails, and the relay's reaction to each reason.
 *
 * - `retry`: `once` repeats the request at the same provider once, before any text, if the wait is at most 2 s.
 * - `fallBack`: whether the next provider may answer.
 * - `cooldown`: `provider` skips the provider for some time. `none` does not, because the request is at fault.
 * - `alarm`: whether an operator must act.
 *
 * `functions/relay/providers/` maps the vendors' errors to these reasons.
 */
export const failures = {
  /** 429, throttling. */
  rate_limited: { retry: "once", fallBack: true, cooldown: "provider", alarm: false, code: "overloaded" },
  /** 529, 503, a model that is not ready. */
  overloaded: { retry: "once", fallBack: true, cooldown: "provider", alarm: false, code: "overloaded" },
  /** 500, 502, 504, a connection that breaks before the first text. */
  upstream_error: { retry: "once", fallBack: true, cooldown: "provider", alarm: false, code: "unavailable" },
  /** No first text, a gap, or too few characters per second. */
  timeout: { retry: "never", fallBack: true, cooldown: "provider", alarm: false, code: "timeout" },
  /** The stream ended without the provider's final event. */
  broken: { retry: "once", fallBack: true, cooldown: "provider", alarm: false, code: "unavailable" },
  /**
   * The conversation does not fit the model's context. The relay shortens it and asks again. If this fails too, the
   * relay asks the next provider.
   */
  context_too_long: { retry: "shorter", fallBack: true, cooldown: "none", alarm: false, code: "too_long" },
  /** 400, 422: the relay sent something that the provider does not accept. */
  invalid_request: { retry: "never", fallBack: true, cooldown: "none", alarm: true, code: "internal" },
  /** 401, 403, no credit, quota used up. */
  auth_or_quota: { retry: "never", fallBack: true, cooldown: "provider", alarm: true, code: "unavailable" },
  /** 404: the model does not exist or was retired. */
  not_found: { retry: "never", fallBack: true, cooldown: "provider", alarm: true, code: "unavailable" },
  /** The settings of the provider are missing or not valid. */
  misconfigured: { retry: "never", fallBack: true, cooldown: "provider", alarm: true, code: "unavailable" },
} as const;

/** Reason of a failed request to a provider. */
export type FailureCause = keyof typeof failures;

/** Code of the error that a client gets when no provider completes a reply. */
export type FailureCode = (typeof failures)[FailureCause]["code"];
