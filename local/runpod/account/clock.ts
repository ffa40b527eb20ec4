/**
 * The double's time: this machine's, and what was skipped on demand on top of it. What RunPod does after days (shrinking
 * an idle endpoint, a registry token that dies) counts skipped time only: a laptop that is left on is not punished.
 */
export class Clock {
  /** Milliseconds skipped so far. */
  skippedMs = 0;

  /** Milliseconds since the epoch. */
  readonly now = (): number => Date.now() + this.skippedMs;

  /** The same as RunPod writes it. */
  timestamp(): string {
    return new Date(this.now()).toISOString();
  }
}
