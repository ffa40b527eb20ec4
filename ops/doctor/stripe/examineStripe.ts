import { type Check, ok, unknown, warning } from "../check";
import { secretTodo } from "../secrets";
import type { Target } from "../target";
import type { StripeAccess } from "./client";
import { checkStripeKey } from "./key";
import { checkPortal } from "./portal";
import { checkPrices } from "./prices";
import { checkWebhookEndpoint } from "./webhookEndpoint";

/**
 * Checks what the stack needs at Stripe.
 *
 * @param apiUrl base URL of the stack's API; undefined when AWS did not return it
 */
export async function examineStripe(
  { config, stripeKey, stripeWebhookKey }: Target,
  apiUrl: Promise<string | undefined>,
  timeoutMs: number,
): Promise<Check[]> {
  if (stripeKey === undefined) return [withoutKey(config.billing.prices)];
  if (stripeKey === "unread") {
    const todo = secretTodo(stripeKey, "stripeApiKey", "STRIPE_API_KEY", config.stack);
    return [unknown("Stripe", "stripeApiKey is encrypted, and the pulumi command could not read it", todo)];
  }
  const { billing, stack, stripeApiUrl: url } = config;
  const access: StripeAccess = { apiKey: stripeKey.key, url, timeoutMs };
  const webhookAccess = typeof stripeWebhookKey === "object" ? { ...access, apiKey: stripeWebhookKey.key } : access;
  const webhook = apiUrl.then((known) => {
    if (known) return checkWebhookEndpoint(webhookAccess, known, stack);
    return unknown(
      "webhook endpoint",
      "AWS did not return the URL of the API",
      "First do the next step in the line AWS or API.",
    );
  });
  const lines = await Promise.all([
    checkStripeKey(access, stack),
    webhook,
    checkPortal(access, billing.portalConfiguration),
    checkPrices(access, billing.prices),
  ]);
  return lines.flat();
}

/** A stack without a key sells nothing. With prices, somebody has forgotten the key. */
function withoutKey(prices: Target["config"]["billing"]["prices"]): Check {
  const seen = "stripeApiKey is not set: the stack sells no plan";
  if (Object.values(prices).every((ids) => ids.length === 0)) return ok("Stripe", seen);
  const todo =
    "Set it: pulumi config set --secret stripeApiKey. docs/operations.md, Sell plans, lists its permissions.";
  return warning("Stripe", `${seen}, but billing.prices has prices`, todo);
}
