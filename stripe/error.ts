import Stripe from "stripe";

interface Meaning {
  /** The object is not there. */
  missing?: boolean;
  /** Stripe has given this very answer before, to the same Idempotency-Key. */
  replayed?: boolean;
  /** The account has all the webhook endpoints it may have. */
  full?: boolean;
}

/** A call to Stripe that did not succeed. The message never carries a key or a signing secret. */
export class StripeCallError extends Error {
  override readonly name = "StripeCallError";

  /** @param means what the caller can act on */
  constructor(
    message: string,
    readonly means: Meaning = {},
  ) {
    super(message);
  }
}

/**
 * Awaits a call to Stripe.
 *
 * @param action what is asked for, as it reads after "Stripe refused to"
 * @throws StripeCallError in place of whatever the call throws
 */
export async function asking<T>(action: string, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw explained(action, error);
  }
}

function explained(action: string, error: unknown): StripeCallError {
  if (!(error instanceof Stripe.errors.StripeError)) {
    return new StripeCallError(`Stripe could not be asked to ${action}: ${said(error)}`);
  }
  const { statusCode, requestId } = error;
  if (statusCode === undefined) {
    return new StripeCallError(
      `Stripe did not answer when asked to ${action}: ${said(error)} Run "pulumi up" again: it takes over what may have been made.`,
    );
  }
  const request = requestId ? ` (${requestId})` : "";
  if (statusCode === 401) {
    return new StripeCallError(`Stripe refused to ${action}: the key in stripeWebhookKey is not valid${request}`);
  }
  const verb = statusCode === 429 || statusCode >= 500 ? "could not" : "refused to";
  return new StripeCallError(`Stripe ${verb} ${action}: HTTP ${statusCode}, ${said(error)}${request}`, meaning(error));
}

function meaning({ code, message, headers }: Stripe.errors.StripeError): Meaning {
  return {
    // Otherwise an object of the test mode would pass for deleted when the key is a live one.
    missing: code === "resource_missing" && !/similar object exists/i.test(message),
    replayed: headers?.["idempotent-replayed"] === "true",
    // It has no code of its own: "You have reached the maximum of 16 test webhook endpoints." (as getlago/lago-api quotes
    // it), and more than 16 where Stripe's support has raised the limit.
    full: /maximum of \d+\b.*webhook endpoints/i.test(message),
  };
}

/** Keys and secrets are recognised by their prefix: an answer may quote them. */
function said(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replaceAll(/\b(?:[rsp]k|whsec)_[\w*]+/g, "***");
}
