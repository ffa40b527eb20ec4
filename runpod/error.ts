/** What is known of a call beside its message. */
interface Circumstances {
  /** Trying again may help: transport, timeout, 429, 5xx and the like. */
  transient: boolean;
  /** What was asked for may have happened all the same, whole or in part. Default: as `transient`. */
  maybeDone?: boolean;
  /** How long RunPod asked to wait, in milliseconds. */
  retryAfterMs?: number | undefined;
}

/** A call to RunPod that did not succeed. The message never carries the API key or what was sent. */
export class RunpodError extends Error {
  override readonly name = "RunpodError";
  readonly transient: boolean;
  readonly maybeDone: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(message: string, { transient, maybeDone = transient, retryAfterMs }: Circumstances) {
    super(message);
    this.transient = transient;
    this.maybeDone = maybeDone;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Whether an error says that the thing is not there (wordings seen by RunPod's own Pulumi provider). */
export function isNotFound(error: unknown): boolean {
  return (
    error instanceof RunpodError && /not found|does not exist|could ?n[o']t find|could not find/i.test(error.message)
  );
}

/**
 * Whether a refused delete says "not yet": a template is in use by an endpoint or Pod, or was a moment ago; an endpoint's
 * worker counts are not 0. RunPod documents these rules but not their wording.
 */
export function isInUse(error: unknown): boolean {
  return (
    error instanceof RunpodError &&
    /\b(?:in use|used by|being used)\b|workers?(?:min|max)?\b.*\b(?:0|zero)\b/i.test(error.message)
  );
}
