/** A call to RunPod that did not succeed. The message never carries the API key or what was sent. */
export class RunpodError extends Error {
  override readonly name = "RunpodError";

  /**
   * @param transient no certain answer came (transport, timeout, 429, 5xx and the like): trying again may help, and what
   *   was asked for may have happened all the same
   */
  constructor(
    message: string,
    readonly transient: boolean,
  ) {
    super(message);
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
