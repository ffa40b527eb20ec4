import { createHash } from "node:crypto";

/**
 * An Idempotency-Key for one call to Stripe: the same for the same purpose with the same parameters, and never the same
 * with others, which Stripe would refuse for a day.
 *
 * @param purpose what must happen once only, with everything that tells it from another such purpose
 */
export function idempotencyKey(purpose: string[], params: object): string {
  const hash = createHash("sha256")
    .update(JSON.stringify([purpose, params]))
    .digest("base64url");
  return `${purpose[0]}-${hash}`;
}
