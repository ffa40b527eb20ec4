import Stripe from "stripe";

/** Facts about a failed call that the caller can act on. Each fact is false by default. */
interface CallFacts {
  /** The object does not exist. */
  isMissing: boolean;
  /** Stripe repeated an earlier response to the same Idempotency-Key. */
  isReplayed: boolean;
  /** The account has reached the maximum number of webhook endpoints. */
  isLimitReached: boolean;
  /** Stripe may have executed the operation. */
  maybeDone: boolean;
}

/** A failed call to Stripe. The message contains neither a key nor a signing secret. */
export class StripeCallError extends Error implements CallFacts {
  override readonly name = "StripeCallError";
  readonly isMissing: boolean;
  readonly isReplayed: boolean;
  readonly isLimitReached: boolean;
  readonly maybeDone: boolean;

  constructor(message: string, facts: Partial<CallFacts> = {}) {
    super(message);
    this.isMissing = facts.isMissing ?? false;
    this.isReplayed = facts.isReplayed ?? false;
    this.isLimitReached = facts.isLimitReached ?? false;
    this.maybeDone = facts.maybeDone ?? false;
  }
}

/**
 * Awaits a call to Stripe.
 *
 * @param action completes the sentence "Stripe refused to …"
 * @throws StripeCallError for any error of the call
 */
export async function callStripe<T>(action: string, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw toCallError(action, error);
  }
}

function toCallError(action: string, error: unknown): StripeCallError {
  if (!(error instanceof Stripe.errors.StripeError)) {
    return new StripeCallError(`The call to Stripe to ${action} failed: ${redactedMessage(error)}`);
  }
  const { statusCode, requestId } = error;
  if (statusCode === undefined) {
    return new StripeCallError(
      `Stripe did not answer the call to ${action}: ${redactedMessage(error)} Run "pulumi up" again: it adopts an endpoint ` +
        "that this call may have created.",
      { maybeDone: true },
    );
  }
  const request = requestId ? ` (${requestId})` : "";
  if (statusCode === 401) {
    return new StripeCallError(`Stripe refused to ${action}: the key in stripeWebhookKey is not valid${request}`);
  }
  const isTransient = statusCode === 429 || statusCode >= 500;
  const verb = isTransient ? "could not" : "refused to";
  return new StripeCallError(
    `Stripe ${verb} ${action}: HTTP ${statusCode}, ${redactedMessage(error)}${request}`,
    facts(error),
  );
}

function facts({ code, message, headers, statusCode = 0 }: Stripe.errors.StripeError): CallFacts {
  return {
    // Stripe returns the same code when the object exists in the other mode (test or live). Such an object is not
    // missing.
    isMissing: code === "resource_missing" && !/similar object exists/i.test(message),
    isReplayed: headers?.["idempotent-replayed"] === "true",
    // This error has no code: "You have reached the maximum of 16 test webhook endpoints." (quoted in getlago/lago-api).
    // Stripe's support can raise the number.
    isLimitReached: /maximum of \d+\b.*webhook endpoints/i.test(message),
    maybeDone: statusCode >= 500,
  };
}

/** Replaces keys and secrets in an error's message with `***`. Finds them by their known prefixes. */
function redactedMessage(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replaceAll(/\b(?:[rsp]k|whsec)_[\w*]+/g, "***");
}
