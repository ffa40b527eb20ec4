import { pause, retryLimitMs } from "./retry";

/**
 * If a window allows fewer calls than this number, the program spreads the calls evenly until the end of the window.
 */
const FEW_CALLS = 10;

/** A window of RunPod's rate limit, from the newest response. */
interface Window {
  /** Number of calls that RunPod accepts until the end of the window. */
  remaining: number;
  /** End of the window, from `performance.now()`. */
  endsAt: number;
}

/**
 * Slows down the calls with one key when few calls remain, so that RunPod does not refuse a call. REST v2 sends the
 * remaining calls (`r`) and seconds (`t`) of each window in the header `RateLimit` (IETF draft ratelimit-headers):
 * `"minute";r=3;t=20`.
 */
export class RateLimit {
  private windows: Window[] = [];
  /** Number of calls without a response. The newest `RateLimit` header does not count these calls. */
  private unanswered = 0;
  /** Earliest time of the next call, from `performance.now()`. */
  private nextAt = 0;

  /**
   * Sends a call as soon as every window allows it. If the wait would end after the retry limit, sends the call at
   * once. RunPod's refusal then contains the time to wait.
   *
   * @param firstAt start of the call's first attempt, from `performance.now()`
   */
  async send(operation: string, firstAt: number, call: () => Promise<Response>): Promise<Response> {
    const now = performance.now();
    const latestAt = firstAt + retryLimitMs();
    this.windows = this.windows.filter(({ endsAt }) => endsAt > now);
    const startAt = Math.max(now, ...this.windows.map((window) => this.startIn(window, now, latestAt)));
    this.nextAt = startAt;
    this.unanswered += 1;
    try {
      const line = `RunPod's rate limit allows only a few more calls. The program continues with ${operation}`;
      await pause(startAt - now, 0, line);
      const response = await call();
      this.windows = windowsIn(response.headers.get("ratelimit"), performance.now()) ?? this.windows;
      return response;
    } finally {
      this.unanswered -= 1;
    }
  }

  /**
   * Time at which a window allows the next call. Spreads the last calls evenly until the end of the window, unless the
   * wait would end after `latestAt`.
   */
  private startIn({ remaining, endsAt }: Window, now: number, latestAt: number): number {
    const left = remaining - this.unanswered;
    if (left >= FEW_CALLS) return now;
    const from = Math.min(Math.max(now, this.nextAt), endsAt);
    const startAt = from + (endsAt - from) / (Math.max(0, left) + 1);
    return startAt <= latestAt ? startAt : now;
  }
}

/** Reads the header `RateLimit`. Ignores a window that has no `r` or no `t`. Undefined without the header. */
function windowsIn(header: string | null, now: number): Window[] | undefined {
  return header?.split(",").flatMap((window) => {
    const [remaining, seconds] = [/;\s*r=(\d+)/, /;\s*t=(\d+)/].map((parameter) => parameter.exec(window)?.[1]);
    if (remaining === undefined || seconds === undefined) return [];
    return [{ remaining: Number(remaining), endsAt: now + Number(seconds) * 1_000 }];
  });
}
