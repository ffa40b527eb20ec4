interface Timer {
  at: number;
  /** Timers of the same millisecond fire in the order of their creation. */
  order: number;
  fire: () => void;
}

/**
 * A clock that jumps from timer to timer and waits for real promises in between. Simulated days take milliseconds, and
 * the order of events is always the same. Code that uses this clock must await only `sleep` and promises that depend on
 * `sleep`.
 */
export class VirtualTime {
  private readonly timers: Timer[] = [];
  private order = 0;
  private failure: { error: unknown } | undefined;

  /** @param now milliseconds since the epoch */
  constructor(public now: number) {}

  /**
   * Calls `fire` at a time in milliseconds since the epoch. When that time has already passed, calls `fire` at the
   * current time, but never synchronously.
   */
  at(time: number, fire: () => void): void {
    this.push({ at: Math.max(time, this.now), order: this.order++, fire });
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.at(this.now + ms, resolve));
  }

  /** Makes `runUntil` throw the error. */
  fail(error: unknown): void {
    this.failure ??= { error };
  }

  /** Fires every timer up to and including `end`. */
  async runUntil(end: number): Promise<void> {
    // `settled` works only when a microtask calls it.
    await null;
    for (let timer = this.timers[0]; timer && timer.at <= end; timer = this.timers[0]) {
      this.pop();
      this.now = timer.at;
      timer.fire();
      await settled();
      if (this.failure) throw this.failure.error;
    }
    this.now = end;
  }

  private push(timer: Timer): void {
    const heap = this.timers;
    let index = heap.length;
    for (;;) {
      const parentIndex = (index - 1) >> 1;
      const parent = heap[parentIndex];
      if (!parent || isSooner(parent, timer)) break;
      heap[index] = parent;
      index = parentIndex;
    }
    heap[index] = timer;
  }

  private pop(): void {
    const heap = this.timers;
    const last = heap.pop();
    if (!last || heap.length === 0) return;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const [one, other] = [heap[left], heap[left + 1]];
      const child = one && other && isSooner(other, one) ? left + 1 : left;
      const sooner = heap[child];
      if (!sooner || isSooner(last, sooner)) break;
      heap[index] = sooner;
      index = child;
    }
    heap[index] = last;
  }
}

function isSooner(one: Timer, other: Timer): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}

/**
 * Resolves when no microtask is left. Node calls `nextTick` callbacks after all microtasks, including those that other
 * microtasks queued. This is a hundred times faster than one turn of the event loop.
 */
function settled(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}
