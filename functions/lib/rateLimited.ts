import { ApiError } from "../../contract/errors";

/** The error `rate_limited`, with when it is over: the answer's Retry-After. */
export class RateLimited extends ApiError {
  constructor(readonly retryAfterSeconds: number) {
    super("rate_limited");
  }
}
