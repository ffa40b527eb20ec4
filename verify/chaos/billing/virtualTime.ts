interface Timer {
  at: number;
  /** Timers of the same millisecond fire in the order in which they were set. */
  order: number;
  fire: () => void;
}

/**
 * A clock that jumps from timer to timer, under real promises: days pass in milliseconds, in the same order each time.
 * What runs on it must await nothing but `sleep` and promises that follow from it.
 */
export class VirtualTime {
  private readonly timers: Timer[] = [];
  private order = 0;
  private failure: { error: unknown } | undefined;

  /** @param now milliseconds since the epoch */
  constructor(public now: number) {}

  /** Calls `fire` at a time in milliseconds since the epoch, at once (but not now) when that has passed. */
  at(time: number, fire: () => void): void {
    this.push({ at: Math.max(time, this.now), order: this.order++, fire });
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.at(this.now + ms, resolve));
  }

  /** Ends `runUntil`, which throws the error. */
  fail(error: unknown): void {
    this.failure ??= { error };
  }

  /** Lets everything up to and including `end` happen. */
  async runUntil(end: number): Promise<void> {
    // `settled` counts on being asked from within a microtask.
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
      const above = (index - 1) >> 1;
      const parent = heap[above];
      if (!parent || isSooner(parent, timer)) break;
      heap[index] = parent;
      index = above;
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
 * When no microtask is left: Node calls what `nextTick` was given once the microtasks have run dry, however many have
 * followed from each other by then. A hundred times faster than a turn of the event loop.
 */
function settled(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}
