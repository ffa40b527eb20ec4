import Stripe from "stripe";
import { clientOptions } from "../../../stripe/clientOptions";

/** Connection to Stripe's API. */
export interface StripeAccess {
  /** Secret. */
  apiKey: string;
  url: string;
  timeoutMs: number;
}

/** Creates a client with a time limit and one retry. */
export function stripeClient({ apiKey, url, timeoutMs }: StripeAccess): Stripe {
  return new Stripe(apiKey, { ...clientOptions(url), timeout: timeoutMs, maxNetworkRetries: 1 });
}

/** Reason of a failed read, without Stripe's message: the message may contain a part of the key. */
export function stripeReason(error: unknown): string {
  if (!(error instanceof Stripe.errors.StripeError)) return "no answer";
  return [error.type, error.statusCode].filter(Boolean).join(" ");
}

/**
 * Next step after a failed read.
 *
 * @param permission next step when Stripe refuses the key
 */
export function stripeTodo(error: unknown, permission: string): string {
  const status = error instanceof Stripe.errors.StripeError ? error.statusCode : undefined;
  return status === 401 || status === 403 ? permission : tryStripeAgain;
}

/** Next step when Stripe does not answer, or returns an error other than a refusal. */
export const tryStripeAgain =
  "Check this machine's network, stripeApiUrl and https://status.stripe.com. Then run the doctor again.";

/** Whether Stripe does not have the object in this account and mode. */
export function isMissing(error: unknown): boolean {
  return error instanceof Stripe.errors.StripeError && error.code === "resource_missing";
}
