/** Something changed: wakes everyone who waits for it. */
export class Signal {
  private readonly waiting = new Set<() => void>();

  /** Wakes all. */
  notify(): void {
    for (const wake of [...this.waiting]) wake();
  }

  /**
   * Asks `read` now and after every notification until it gives something.
   *
   * @param waitMs after this long the answer is undefined
   * @param gone ends the wait early, for a client that hung up
   */
  async until<T>(read: () => T | undefined, waitMs: number, gone?: AbortSignal): Promise<T | undefined> {
    const deadline = Date.now() + waitMs;
    // Nothing is read for a client that is gone: reading may take a job from the queue.
    while (!gone?.aborted) {
      const value = read();
      const left = deadline - Date.now();
      if (value !== undefined || left <= 0) return value;
      await this.next(left, gone);
    }
    return undefined;
  }

  private next(waitMs: number, gone?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.waiting.delete(wake);
        gone?.removeEventListener("abort", wake);
        resolve();
      };
      const timer = setTimeout(wake, waitMs);
      this.waiting.add(wake);
      gone?.addEventListener("abort", wake);
    });
  }
}
