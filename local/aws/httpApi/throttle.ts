/** A route's limits: requests a second, and how many at once on top. */
export interface Limits {
  ratePerSecond: number;
  burst: number;
}

/** Token buckets by name, as API Gateway throttles: full at first, refilled at the rate, never above the burst. */
export class Throttle {
  private readonly buckets = new Map<string, { tokens: number; at: number }>();

  /** @param now milliseconds on a clock that only goes forward */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /** Takes one token; false when the bucket is empty. Zero limits refuse everyone. */
  admit(name: string, { ratePerSecond, burst }: Limits): boolean {
    const at = this.now();
    const bucket = this.buckets.get(name) ?? { tokens: burst, at };
    const tokens = Math.min(burst, bucket.tokens + ((at - bucket.at) / 1000) * ratePerSecond);
    const admitted = ratePerSecond > 0 && tokens >= 1;
    this.buckets.set(name, { tokens: admitted ? tokens - 1 : tokens, at });
    return admitted;
  }
}
