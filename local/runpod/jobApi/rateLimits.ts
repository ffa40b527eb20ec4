/** Operation of the job API with a rate limit. The limits apply per endpoint. */
export type LimitedOperation = "run" | "runsync" | "status" | "stream" | "cancel" | "purge-queue" | "openai";

/**
 * Limits of an endpoint with few workers (docs.runpod.io, operation reference). RunPod raises the limits of an endpoint
 * with more workers.
 */
const limits: Record<LimitedOperation, { per10s: number; concurrent: number }> = {
  run: { per10s: 1000, concurrent: 200 },
  runsync: { per10s: 2000, concurrent: 400 },
  status: { per10s: 2000, concurrent: 400 },
  stream: { per10s: 2000, concurrent: 400 },
  cancel: { per10s: 100, concurrent: 20 },
  "purge-queue": { per10s: 2, concurrent: 2 },
  openai: { per10s: 2000, concurrent: 400 },
};

const WINDOW_MS = 10_000;

interface Window {
  startedAt: number;
  requests: number;
  running: number;
}

/** Counts the requests of one endpoint. */
export class RateLimits {
  private readonly windows = new Map<LimitedOperation, Window>();

  constructor(private readonly now: () => number) {}

  /**
   * Counts a request. Returns the function to call when the request ends, or undefined when there are too many
   * requests.
   */
  enter(operation: LimitedOperation): (() => void) | undefined {
    const window = this.windows.get(operation) ?? { startedAt: this.now(), requests: 0, running: 0 };
    this.windows.set(operation, window);
    if (this.now() - window.startedAt >= WINDOW_MS) Object.assign(window, { startedAt: this.now(), requests: 0 });
    const { per10s, concurrent } = limits[operation];
    if (window.requests >= per10s || window.running >= concurrent) return undefined;
    window.requests += 1;
    window.running += 1;
    return () => {
      window.running -= 1;
    };
  }
}
