import { ApiError } from "../../contract/errors";

/** A limit per time window. */
export interface RateLimit {
  limit: number;
  windowSeconds: number;
}

/** The error `rate_limited`, with the seconds until the next use is allowed (`Retry-After`). */
export class RateLimited extends ApiError {
  constructor(readonly retryAfterSeconds: number) {
    super("rate_limited");
  }
}
