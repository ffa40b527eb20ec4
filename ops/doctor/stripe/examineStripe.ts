import { type Check, unknown } from "../check";
import type { Target } from "../target";
import type { StripeAccess } from "./client";
import { checkStripeKey } from "./key";
import { checkPortal } from "./portal";
import { checkPrices } from "./prices";
import { checkWebhookEndpoint } from "./webhookEndpoint";

/**
 * Checks what the stack needs at Stripe. Returns no line for a stack that sells nothing.
 *
 * @param apiUrl base URL of the stack's API; undefined when AWS did not return it
 */
export async function examineStripe(
  { config, stripeKey, stripeWebhookKey }: Target,
  apiUrl: Promise<string | undefined>,
  timeoutMs: number,
): Promise<Check[]> {
  if (stripeKey === undefined) return [];
  if (stripeKey === "unread") {
    const todo = "Set STRIPE_API_KEY in the environment, or sign in with Pulumi.";
    return [unknown("Stripe", "stripeApiKey is encrypted, and the pulumi command could not read it", todo)];
  }
  const { billing, stack, stripeApiUrl: url } = config;
  const access: StripeAccess = { apiKey: stripeKey.key, url, timeoutMs };
  const webhookAccess = typeof stripeWebhookKey === "object" ? { ...access, apiKey: stripeWebhookKey.key } : access;
  const webhook = apiUrl.then((known) => {
    if (known) return checkWebhookEndpoint(webhookAccess, known);
    return unknown("webhook endpoint", "AWS did not return the URL of the API", "See the line about the API.");
  });
  const lines = await Promise.all([
    checkStripeKey(access, stack),
    webhook,
    checkPortal(access, billing.portalConfiguration),
    checkPrices(access, billing.prices),
  ]);
  return lines.flat();
}
