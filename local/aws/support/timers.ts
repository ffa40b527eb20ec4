/** Timers of the local AWS. Tests replace them with timers that they control. */
export interface Timers {
  /**
   * Calls `run` once after `delayMs`. Returns a function that cancels the timer. A timer does not keep the process
   * alive.
   */
  after(delayMs: number, run: () => void): () => void;
}

/** Longest delay of `setTimeout`. Node shortens a longer delay to 1 ms. */
const LONGEST_MS = 2 ** 31 - 1;

/** Timers in real time. */
export const realTimers: Timers = {
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
