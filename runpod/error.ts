/** Properties of a failed call. */
interface CallFacts {
  /** A retry may help, for example after a transport error, a timeout, 429 or 5xx. */
  transient: boolean;
  /** RunPod may have executed the operation, completely or in part. Default: the value of `transient`. */
  maybeDone?: boolean;
  /** Milliseconds to wait before a retry, as requested by RunPod. */
  retryAfterMs?: number | undefined;
  /** RunPod has shut the API down (410 Gone), so it did not execute the operation. Default: false. */
  isGone?: boolean;
  /** RunPod refused the operation because of one of its rules, and gave the reason as text. Default: false. */
  isRefusal?: boolean;
  /** RunPod's own text, without the words that the program adds. Default: none. */
  reason?: string | undefined;
}

/** A failed call to RunPod. The message contains neither the API key nor the request. */
export class RunpodError extends Error {
  override readonly name = "RunpodError";
  readonly transient: boolean;
  readonly maybeDone: boolean;
  readonly retryAfterMs: number | undefined;
  readonly isGone: boolean;
  readonly isRefusal: boolean;
  readonly reason: string | undefined;

  constructor(
    message: string,
    { transient, maybeDone = transient, retryAfterMs, isGone = false, isRefusal = false, reason }: CallFacts,
  ) {
    super(message);
    this.transient = transient;
    this.maybeDone = maybeDone;
    this.retryAfterMs = retryAfterMs;
    this.isGone = isGone;
    this.isRefusal = isRefusal;
    this.reason = reason;
  }
}

/**
 * Error for a call with an API key that RunPod refuses.
 *
 * @param problem text after "the API key" in the message, such as `is not valid`
 */
export function refusedKey(operation: string, problem: string): RunpodError {
  const hint = '"pulumi refresh" and "pulumi destroy" use the key from the latest "pulumi up".';
  const message = `RunPod refused ${operation}: the API key (runpodApiKey) ${problem}. ${hint}`;
  return new RunpodError(message, { transient: false });
}

const NOT_FOUND = /not found|(?:does not|doesn['’]t|no longer) exist|could(?: not|n['’]t) find|no such/i;
// Unconfirmed: no public source contains RunPod's error text for a taken name.
const NAME_TAKEN = /\bunique\b|already (?:exists|in use|taken)|duplicate|conflict/i;
/**
 * Whether the error says that the resource does not exist. The patterns match the error texts in RunPod's own Pulumi
 * provider and similar texts.
 */
export function isNotFound(error: unknown): boolean {
  return error instanceof RunpodError && NOT_FOUND.test(error.message);
}

/** Whether RunPod refuses a create because the name is taken. */
export function isNameTaken(error: unknown): boolean {
  return error instanceof RunpodError && error.isRefusal && NAME_TAKEN.test(error.message);
}

/** Minimum length of the secrets that `redact` replaces. A shorter secret may be an ordinary word of the message. */
const SHORTEST_SECRET = 8;

/** Replaces the secrets in a message with `***`. */
export function redact(message: string, secrets: string[]): string {
  // RunPod's message may quote the request as JSON, which escapes special characters of a secret.
  const forms = secrets.flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)]);
  return forms
    .filter((secret) => secret.length >= SHORTEST_SECRET)
    .reduce((text, secret) => text.replaceAll(secret, "***"), message);
}

/**
 * Error for a call without a response.
 *
 * @param cause the error of the transport, or `timeout`
 */
export function noResponseError(
  { operation, apiKey, timeoutMs }: { operation: string; apiKey: string; timeoutMs: number },
  cause: unknown,
): RunpodError {
  const reason = cause === "timeout" ? `no answer within ${timeoutMs / 1000} s` : transportMessage(cause);
  return new RunpodError(`RunPod did not answer ${operation}: ${redact(reason, [apiKey])}`, { transient: true });
}

/**
 * Returns the message of the network error that caused an error of fetch. If fetch has tried several addresses, the
 * network error has a code but no message.
 */
function transportMessage(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? error.cause : error;
  return cause.message || ("code" in cause && String(cause.code)) || error.message;
}

/** Returns the message of any thrown value. */
export function messageOf(error: unknown): string {
  // For a host with several addresses, Node's error has an empty message.
  if (error instanceof AggregateError && !error.message) return messageOf(error.errors[0]);
  return error instanceof Error ? error.message || error.name : String(error);
}
