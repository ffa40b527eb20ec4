import { type Provider, type ProviderEvent, ProviderFailure } from "./provider";

/** Time limits of one request to a provider, and the slowest accepted reply. */
export interface Deadlines {
  /** From the request to the first text. */
  firstTextMs: number;
  /** Between two pieces of text. */
  gapMs: number;
  /** From the request to the end of the reply. */
  totalMs: number;
  /** Characters that must arrive per second of waiting, after the first text. */
  minCharsPerSecond: number;
  /** Period over which the speed is measured. */
  speedWindowMs: number;
}

/** Deadlines of external LLMs, which are always running. */
const externalDeadlines: Deadlines = {
  firstTextMs: 12_000,
  gapMs: 15_000,
  totalMs: 60_000,
  minCharsPerSecond: 3,
  speedWindowMs: 10_000,
};

/** Deadlines of GPU workers, whose cold start takes minutes. */
const workerDeadlines: Deadlines = { ...externalDeadlines, firstTextMs: 180_000, totalMs: 240_000 };

/** Deadlines of a candidate. They leave the released worker enough time for its own start. */
const candidateDeadlines: Deadlines = { ...workerDeadlines, firstTextMs: 45_000 };

/** Deadlines of a provider's requests. */
export function deadlinesOf(provider: Pick<Provider, "name" | "isCandidate">): Deadlines {
  if (provider.isCandidate) return candidateDeadlines;
  return provider.name === "runpod" ? workerDeadlines : externalDeadlines;
}

/**
 * Streams a provider's reply under deadlines. The first text, the gaps and the speed are measured only while this
 * function waits for the provider: a slow reader is not the provider's fault. Empty texts are dropped.
 *
 * @param open starts the request. Its signal aborts when a deadline passes, `signal` aborts, or the reader leaves
 * @throws ProviderFailure `timeout` after a deadline, the provider's error, or the reason of an aborted `signal`.
 *   Deadlines and aborts take effect even if the provider does not react
 */
export async function* withDeadlines(
  open: (signal: AbortSignal) => AsyncIterable<ProviderEvent>,
  deadlines: Deadlines,
  signal: AbortSignal,
): AsyncGenerator<ProviderEvent, void, void> {
  signal.throwIfAborted();
  const upstream = new AbortController();
  let rejectNext: (reason: unknown) => void = () => {};
  const stop = (reason: unknown) => {
    upstream.abort(reason);
    rejectNext(reason);
  };
  const onAbort = () => stop(signal.reason);
  const watch = new Watch(deadlines, (message) => stop(new ProviderFailure("timeout", message)));
  let source: AsyncIterator<ProviderEvent> | undefined;
  let isComplete = false;
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    const events = open(upstream.signal)[Symbol.asyncIterator]();
    source = events;
    while (!isComplete) {
      upstream.signal.throwIfAborted();
      watch.wait();
      const next = await new Promise<IteratorResult<ProviderEvent>>((resolve, reject) => {
        rejectNext = reject;
        events.next().then(resolve, reject);
      });
      upstream.signal.throwIfAborted();
      if (next.done) return;
      const event = next.value;
      isComplete = "end" in event;
      if ("text" in event) {
        if (event.text === "") continue;
        watch.received(event.text.length);
      }
      yield event;
    }
  } finally {
    watch.close();
    signal.removeEventListener("abort", onAbort);
    if (!isComplete) upstream.abort();
    if (source) close(source);
  }
}

/** Ends a provider's iterator. Does not wait, because the iterator's last call may hang. */
function close(events: AsyncIterator<ProviderEvent>): void {
  const returned = async () => events.return?.();
  returned().catch(() => {});
}

/**
 * Measures the waiting time of one request with one timer. New text moves the deadline but does not restart the timer.
 * If the timer fires too early, it is started again.
 */
class Watch {
  private readonly startedAt = performance.now();
  /** Start of the current wait for the provider; undefined while the reader processes the text. */
  private waitingSince: number | undefined;
  private hasText = false;
  /** Characters and earlier waiting time of the current speed window. */
  private windowChars = 0;
  private windowMs = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly deadlines: Deadlines,
    private readonly onTimeout: (message: string) => void,
  ) {
    this.setTimer(this.startedAt);
  }

  wait(): void {
    this.waitingSince ??= performance.now();
  }

  received(chars: number): void {
    const now = performance.now();
    if (this.hasText) this.windowMs += this.waitedMs(now);
    this.waitingSince = undefined;
    this.windowChars += chars;
    if (this.hasText) return;
    this.hasText = true;
    this.setTimer(now);
  }

  close(): void {
    clearTimeout(this.timer);
  }

  private waitedMs(now: number): number {
    return this.waitingSince === undefined ? 0 : now - this.waitingSince;
  }

  private setTimer(now: number): void {
    clearTimeout(this.timer);
    const { firstTextMs, gapMs, totalMs, speedWindowMs } = this.deadlines;
    const waited = this.waitedMs(now);
    const toText = this.hasText
      ? Math.min(gapMs - waited, speedWindowMs - this.windowMs - waited)
      : firstTextMs - waited;
    const leftMs = Math.min(this.startedAt + totalMs - now, toText);
    this.timer = setTimeout(() => this.check(), Math.max(1, Math.ceil(leftMs)));
  }

  private check(): void {
    const now = performance.now();
    const late = this.passed(now);
    if (late) this.onTimeout(late);
    else this.setTimer(now);
  }

  /** Returns a description of the deadline that has passed, or undefined. Starts the next speed window. */
  private passed(now: number): string | undefined {
    const { firstTextMs, gapMs, totalMs, minCharsPerSecond, speedWindowMs } = this.deadlines;
    if (now - this.startedAt >= totalMs) return `The reply did not end within ${totalMs} ms`;
    const waited = this.waitedMs(now);
    if (!this.hasText) return waited >= firstTextMs ? `No text within ${firstTextMs} ms` : undefined;
    if (waited >= gapMs) return `No further text within ${gapMs} ms`;
    const windowMs = this.windowMs + waited;
    if (windowMs < speedWindowMs) return undefined;
    if (this.windowChars * 1000 < minCharsPerSecond * windowMs) {
      return `Only ${this.windowChars} characters arrived within ${Math.round(windowMs)} ms`;
    }
    this.windowChars = 0;
    this.windowMs = -waited;
    return undefined;
  }
}
