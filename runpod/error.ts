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

const NOT_FOUND = /not found|(?:does not|doesn['’]t|no longer) exist|could(?: not|n['’]t) find|no such/i;
const IN_USE = [
  /\b(?:in[ -]use|us(?:ed|es|ing)|referenced|conflict)\b/i,
  /\b(?:bound|attached|associated)\b.*\b(?:endpoints?|pods?)\b/i,
  /\bworkers?(?:min|max)?\b.*\b(?:0|zero)\b|\b(?:active|running) workers?\b/i,
];

/** Whether an error says that the thing is not there (wordings seen by RunPod's own Pulumi provider, and near ones). */
export function isNotFound(error: unknown): boolean {
  return error instanceof RunpodError && NOT_FOUND.test(error.message);
}

/**
 * Whether a refused delete says "not yet": a template is in use by an endpoint or Pod, or was a moment ago; an endpoint's
 * worker counts are not 0. RunPod documents these rules but not their wording, so several count: to wait in vain costs
 * minutes, to give up too early leaves what costs money.
 */
export function isInUse(error: unknown): boolean {
  return error instanceof RunpodError && IN_USE.some((words) => words.test(error.message));
}
