/** Limits of a route: the steady rate, and the number of requests that may come at the same time. */
export interface Limits {
  ratePerSecond: number;
  burst: number;
}

/**
 * Token buckets by name, as in API Gateway. A bucket starts full, refills at the rate and holds at most `burst` tokens.
 */
export class Throttle {
  private readonly buckets = new Map<string, { tokens: number; at: number }>();

  /** @param now milliseconds of a monotonic clock */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /** Takes one token from the bucket `name`. Returns false when the bucket is empty or a limit is 0. */
  admit(name: string, { ratePerSecond, burst }: Limits): boolean {
    const at = this.now();
    const bucket = this.buckets.get(name) ?? { tokens: burst, at };
    const tokens = Math.min(burst, bucket.tokens + ((at - bucket.at) / 1000) * ratePerSecond);
    const admitted = ratePerSecond > 0 && tokens >= 1;
    this.buckets.set(name, { tokens: admitted ? tokens - 1 : tokens, at });
    return admitted;
  }
}
