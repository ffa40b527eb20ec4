/**
 * Clock of the double: the machine's time plus the time that tests and `/admin/time` skip. Effects that take hours or
 * days at RunPod depend on skipped time only. Otherwise an endpoint would lose its workers if the double runs for a
 * week.
 */
export class Clock {
  /** Milliseconds skipped so far. */
  skippedMs = 0;

  /** Milliseconds since the epoch. */
  readonly now = (): number => Date.now() + this.skippedMs;

  /** The time in RunPod's format. */
  timestamp(): string {
    return new Date(this.now()).toISOString();
  }
}
