/** What makes the services of the local AWS wait. Tests bring timers that go when told. */
export interface Timers {
  /** Calls `run` once after `delayMs`, unless the function it returns is called before. Keeps no process alive. */
  after(delayMs: number, run: () => void): () => void;
}

/** Node takes a longer delay for one of a millisecond. */
const LONGEST_MS = 2 ** 31 - 1;

/** Timers by the clock. */
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

/** Pauses that can all be cut short. */
export class Pauses {
  private readonly ends = new Set<() => void>();
  private ended = false;

  constructor(private readonly timers: Timers) {}

  /** Waits. False when it was cut short. */
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

  /** Cuts every pause short, those to come included. */
  end(): void {
    this.ended = true;
    for (const end of this.ends) end();
    this.ends.clear();
  }
}
