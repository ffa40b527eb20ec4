/** Wakes waiting requests after a change. */
export class ChangeNotifier {
  private readonly waiting = new Set<() => void>();

  /** Wakes every waiting caller. */
  notify(): void {
    for (const wake of [...this.waiting]) wake();
  }

  /**
   * Calls `read` now and after every change until it returns a value.
   *
   * @param read may have side effects, such as taking a job from the queue
   * @param timeoutMs time after which the result is undefined
   * @param hungUp aborted when the client closes its connection. `read` is not called afterwards
   */
  async waitFor<T>(read: () => T | undefined, timeoutMs: number, hungUp?: AbortSignal): Promise<T | undefined> {
    const deadline = Date.now() + timeoutMs;
    while (!hungUp?.aborted) {
      const value = read();
      const leftMs = deadline - Date.now();
      if (value !== undefined || leftMs <= 0) return value;
      await this.nextChange(leftMs, hungUp);
    }
    return undefined;
  }

  private nextChange(timeoutMs: number, hungUp?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.waiting.delete(wake);
        hungUp?.removeEventListener("abort", wake);
        resolve();
      };
      const timer = setTimeout(wake, timeoutMs);
      this.waiting.add(wake);
      hungUp?.addEventListener("abort", wake);
    });
  }
}
