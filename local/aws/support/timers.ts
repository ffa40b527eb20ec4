/** Timers of the local AWS. Tests replace them with timers that they control. */
export interface Timers {
  /**
   * Calls `run` once after `delayMs`. Returns a function that cancels the timer. A timer does not keep the process
   * alive.
   */
  after(delayMs: number, run: () => void): () => void;
  /** Milliseconds since the epoch. */
  now(): number;
}

/** Longest delay of `setTimeout`. Node shortens a longer delay to 1 ms. */
const LONGEST_MS = 2 ** 31 - 1;

/** Timers in real time. */
export const realTimers: Timers = {
  now: () => Date.now(),

  after(delayMs, run) {
    let timer: NodeJS.Timeout;
    const wait = (leftMs: number) => {
      timer = setTimeout(() => (leftMs > LONGEST_MS ? wait(leftMs - LONGEST_MS) : run()), Math.min(leftMs, LONGEST_MS));
      timer.unref();
    };
    wait(delayMs);
    return () => clearTimeout(timer);
  },
};

/** Timers in simulated time, which only `advance` moves. */
export class SimulatedTimers implements Timers {
  protected readonly pending = new Set<{ atMs: number; run: () => void }>();
  private nowMs = Date.now();

  now(): number {
    return this.nowMs;
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.nowMs + delayMs, run };
    this.pending.add(timer);
    return () => this.pending.delete(timer);
  }

  /** Moves the time and runs the timers that are due, in their order. */
  advance(ms: number): void {
    const endMs = this.nowMs + ms;
    for (;;) {
      const [next] = [...this.pending].filter(({ atMs }) => atMs <= endMs).sort((one, other) => one.atMs - other.atMs);
      if (next === undefined) break;
      this.pending.delete(next);
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.run();
    }
    this.nowMs = endMs;
  }
}

/** Pauses that can all be cancelled together. */
export class Pauses {
  private readonly ends = new Set<() => void>();
  private ended = false;

  constructor(private readonly timers: Timers) {}

  /** Waits `delayMs`. Resolves to false when the pause was cancelled. */
  pause(delayMs: number): Promise<boolean> {
    if (this.ended) return Promise.resolve(false);
    return new Promise((resolve) => {
      const stop = this.timers.after(delayMs, () => {
        this.ends.delete(end);
        resolve(true);
      });
      const end = () => {
        stop();
        resolve(false);
      };
      this.ends.add(end);
    });
  }

  /** Cancels every current and future pause. */
  end(): void {
    this.ended = true;
    for (const end of this.ends) end();
    this.ends.clear();
  }
}
