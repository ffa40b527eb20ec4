/** Allowed requests of one key per window. RunPod documents 60 per minute, 3,000 per hour and 50,000 per day. */
export interface RestQuota {
  minute: number;
  hour: number;
  day: number;
}

const windowSeconds = { minute: 60, hour: 3_600, day: 86_400 } as const;
type Window = keyof typeof windowSeconds;
const windows = Object.keys(windowSeconds) as Window[];

/** Counts the calls of one key and creates the `RateLimit` headers (IETF draft ratelimit-headers). */
export class RestRateLimit {
  private readonly counts = new Map<Window, { startedAt: number; calls: number }>();

  constructor(
    private readonly quota: RestQuota,
    private readonly now: () => number,
  ) {}

  /** Counts a call. Returns the exceeded window, if any, and the headers of the answer. */
  enter(): { exceeded: Window | undefined; headers: Record<string, string> } {
    const states = windows.map((window) => {
      const seconds = windowSeconds[window];
      const count = this.counts.get(window) ?? { startedAt: this.now(), calls: 0 };
      if (this.now() - count.startedAt >= seconds * 1_000) Object.assign(count, { startedAt: this.now(), calls: 0 });
      count.calls += 1;
      this.counts.set(window, count);
      const resetSeconds = Math.ceil((count.startedAt + seconds * 1_000 - this.now()) / 1_000);
      return { window, remaining: this.quota[window] - count.calls, resetSeconds };
    });
    const exceeded = states.find(({ remaining }) => remaining < 0);
    const limits = states.map(
      ({ window, remaining, resetSeconds }) => `"${window}";r=${Math.max(0, remaining)};t=${resetSeconds}`,
    );
    const policy = windows.map((window) => `"${window}";q=${this.quota[window]};w=${windowSeconds[window]}`);
    return {
      exceeded: exceeded?.window,
      headers: {
        RateLimit: limits.join(", "),
        "RateLimit-Policy": policy.join(", "),
        ...(exceeded && { "Retry-After": String(exceeded.resetSeconds) }),
      },
    };
  }
}
